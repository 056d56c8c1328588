# syntax=docker/dockerfile:1

# The version of Python that everything is tested on.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
COPY requirements.lock ./
# Without pip in it: nothing is installed later. Every pinned package has a wheel for amd64 and arm64,
# so nothing is compiled.
RUN python -m venv --without-pip /opt/mlo \
 && python -m pip --python /opt/mlo/bin/python install \
    --no-cache-dir --disable-pip-version-check --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY policy/ policy/
COPY storage/ storage/
COPY tasks/ tasks/
COPY flows/ flows/
COPY deployments/ deployments/
COPY simulator/ simulator/
RUN python -m pip --python /opt/mlo/bin/python install \
    --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:${PYTHON}
ARG VERSION=0.1.0
ARG COMMIT=unknown
ARG BUILD_DATE=unknown
LABEL org.opencontainers.image.title="mimir-limit-optimizer" \
      org.opencontainers.image.description="Keeps the per-tenant limits of a Grafana Mimir cluster right" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${BUILD_DATE}"
COPY --from=build /opt/mlo /opt/mlo
# What is written goes to data/ below the working folder, and to /tmp: the rest may be read-only.
# The allocators, polars' too, give back what was freed: else it stays with each of many threads.
ENV PATH=/opt/mlo/bin:$PATH \
    HOME=/tmp \
    USER=mlo \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    _RJEM_MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0 \
    MIMIR_LIMIT_OPTIMIZER_COMMIT=${COMMIT} \
    MIMIR_LIMIT_OPTIMIZER_BUILD_DATE=${BUILD_DATE}
WORKDIR /var/lib/mlo
RUN mkdir data && chown 10001:10001 data
VOLUME /var/lib/mlo/data
USER 10001:10001
EXPOSE 8080 4200
ENTRYPOINT ["mlo"]
CMD ["up"]
