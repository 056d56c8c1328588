# The image: `docker build -t mimir-limit-optimizer .`; amd64 and arm64, every package is a wheel.
ARG PYTHON=3.11-slim

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv --without-pip /opt/mlo
COPY requirements.lock ./
RUN python -m pip --python /opt/mlo/bin/python install --only-binary=:all: --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY policy ./policy
COPY storage ./storage
COPY tasks ./tasks
COPY flows ./flows
COPY deployments ./deployments
COPY simulator ./simulator
RUN python -m pip --python /opt/mlo/bin/python install --no-deps .

FROM python:${PYTHON}
ARG VERSION=unknown
ARG COMMIT=unknown
ARG BUILD_DATE=unknown
LABEL org.opencontainers.image.title="mimir-limit-optimizer" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${BUILD_DATE}"
# Nobody's home: what is written goes to /data, and to /tmp what may be lost. USER, because there is
# no entry in /etc/passwd to ask for a name.
ENV PATH=/opt/mlo/bin:${PATH} HOME=/tmp USER=mlo PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/mlo /opt/mlo
RUN install -d -o 10001 -g 10001 /data
# What is relative in the settings, as data/history.duckdb is, lies in /data.
WORKDIR /
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["mlo"]
CMD ["up"]
