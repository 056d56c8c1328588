{{- /* The pod, of the Deployment and of the standbys; list: root, component, claim or "". */}}
{{- define "mlo.pod" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $claim := index . 2 }}
{{- with $root }}
{{- $settings := include "mlo.settings" . | fromYaml }}
{{- $parts := include "mlo.parts" . | fromYaml }}
{{- $rights := include "mlo.rights" . | fromYaml }}
metadata:
  annotations:
    checksum/config: {{ include "mlo.parts" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "mlo.labels" . | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "mlo.serviceAccount" . }}
  automountServiceAccountToken: {{ $rights | values | compact | empty | not }}
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: mimir-limit-optimizer
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [up]
      env:
        # For `mlo` in a shell of the pod, too.
        - name: MLO_CONFIG
          value: /etc/mimir-limit-optimizer
        {{- with .Values.prefect.apiUrl }}
        - name: PREFECT_API_URL
          value: {{ . | quote }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: {{ include "mlo.port" $settings }}
        {{- with include "mlo.historyPort" $settings }}
        - name: history
          containerPort: {{ . }}
        {{- end }}
      # A first start migrates Prefect's database.
      startupProbe:
        httpGet: {path: /health, port: http}
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /health, port: http}
        periodSeconds: 30
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /ready, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        # The whole folder, because a subPath would never be refreshed.
        - name: settings
          mountPath: /etc/mimir-limit-optimizer
          readOnly: true
        # Where the image works, so that what is relative in the settings stays.
        - name: data
          mountPath: /var/lib/mlo/data
        - name: tmp
          mountPath: /tmp
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: settings
      projected:
        defaultMode: 0440
        # The last one wins: what `kubectl patch` says of the ConfigMap.
        sources:
          {{- if $parts.secrets }}
          - secret:
              name: {{ include "mlo.fullname" . }}-settings
          {{- end }}
          {{- with .Values.existingSecret }}
          - secret:
              name: {{ . }}
          {{- end }}
          - configMap:
              name: {{ include "mlo.fullname" . }}-config
    {{- if $claim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ $claim }}
    {{- else if not .Values.persistence.enabled }}
    - name: data
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir: {}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if gt (int .Values.replicaCount) 1 }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "mlo.selector" . | nindent 16 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "mlo.port" -}}
{{- include "mlo.effective" (list . "server.port" "8080") }}
{{- end }}

{{- /* Where workers elsewhere reach the history; "" where none may. */}}
{{- define "mlo.historyPort" -}}
{{- include "mlo.effective" (list . "storage.listen" "") | regexFind "[0-9]+$" }}
{{- end }}
