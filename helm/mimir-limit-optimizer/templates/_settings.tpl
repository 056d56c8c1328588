{{- /*
The settings of the product, out of the values: everything that is not a value of the chart.
*/}}

{{- define "mlo.folded" -}}
{{- . | replace "_" "" | replace "-" "" | lower }}
{{- end }}

{{- /* How a tree spells a key, without regard to case, dashes and underscores; list: tree, key. */}}
{{- define "mlo.spelled" -}}
{{- $spelled := index . 1 }}
{{- range $key, $_ := index . 0 }}
{{- if eq (include "mlo.folded" $key) (include "mlo.folded" $spelled) }}{{ $spelled = $key }}{{ end }}
{{- end }}
{{- $spelled }}
{{- end }}

{{- /* What a tree holds at a path, as text, "" where nothing; list: tree, path with dots. */}}
{{- define "mlo.setting" -}}
{{- $path := splitList "." (index . 1) }}
{{- $held := get (index . 0) (include "mlo.spelled" (list (index . 0) (first $path))) }}
{{- if and (rest $path) (kindIs "map" $held) }}
{{- include "mlo.setting" (list $held (join "." (rest $path))) }}
{{- else if kindIs "slice" $held }}
{{- join "," $held }}
{{- else if and (not (rest $path)) (not (kindIs "invalid" $held)) }}
{{- toString $held }}
{{- end }}
{{- end }}

{{- /* Write a value where a tree holds none; list: tree, path with dots, value. */}}
{{- define "mlo.default" -}}
{{- $tree := index . 0 }}
{{- $path := splitList "." (index . 1) }}
{{- $key := include "mlo.spelled" (list $tree (first $path)) }}
{{- if rest $path }}
{{- if not (get $tree $key) }}{{ $_ := set $tree $key dict }}{{ end }}
{{- include "mlo.default" (list (get $tree $key) (join "." (rest $path)) (index . 2)) }}
{{- else if kindIs "invalid" (get $tree $key | default nil) }}{{ $_ := set $tree $key (index . 2) }}
{{- end }}
{{- end }}

{{- /* All settings, as YAML. */}}
{{- define "mlo.settings" -}}
{{- $tree := omit (deepCopy .Values) "affinity" "controller" "dashboards" "existingSecret" "extraEnv" "extraVolumeMounts" "extraVolumes" "fullnameOverride" "global" "image" "imagePullSecrets" "ingress" "nameOverride" "networkPolicy" "nodeSelector" "persistence" "podAnnotations" "podLabels" "podSecurityContext" "priorityClassName" "prometheusRule" "rbac" "replicaCount" "resources" "service" "serviceAccount" "serviceMonitor" "tolerations" }}
{{- $_ := set $tree "prefect" (omit (.Values.prefect | default dict) "apiUrl") }}
{{- range $key, $value := .Values.controller }}
{{- $target := $key }}
{{- if eq (include "mlo.folded" $key) "reconcileinterval" }}{{ $target = "updateInterval" }}{{ end }}
{{- $spelled := include "mlo.spelled" (list $tree $target) }}
{{- if hasKey $tree $spelled }}
{{- fail (printf "controller.%s and %s are one setting written twice: keep one" $key $spelled) }}
{{- end }}
{{- $_ := set $tree $target $value }}
{{- end }}
{{- with include "mlo.setting" (list $tree "mimir.namespace") }}
{{- include "mlo.default" (list $tree "metricsDiscovery.namespace" .) }}
{{- end }}
{{- include "mlo.default" (list $tree "publish.sink" "configmap") }}
{{- include "mlo.default" (list $tree "publish.file.path" "data/overrides.yaml") }}
{{- include "mlo.default" (list $tree "server.host" "0.0.0.0") }}
{{- toYaml $tree }}
{{- end }}

{{- /* Move what is secret out of a tree, in place; list: tree, path so far, secrets, expressions. */}}
{{- define "mlo.split" -}}
{{- $tree := index . 0 }}
{{- $before := index . 1 }}
{{- $secrets := index . 2 }}
{{- $expressions := index . 3 }}
{{- range $key, $value := deepCopy $tree }}
{{- $path := append $before $key }}
{{- if kindIs "map" $value }}
{{- include "mlo.split" (list (get $tree $key) $path $secrets $expressions) }}
{{- else }}
{{- $folded := include "mlo.folded" (join "/" $path) }}
{{- range $expression := $expressions }}
{{- if and (not (kindIs "invalid" $value)) (regexMatch $expression $folded) }}
{{- $_ := set $secrets (join "." $path) (toString $value) }}
{{- $_ := unset $tree $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What goes into the ConfigMap and what into the Secret: `config` and `secrets`, as YAML. */}}
{{- define "mlo.parts" -}}
{{- $config := include "mlo.settings" . | fromYaml }}
{{- $secrets := dict }}
{{- $expressions := .Files.Lines "files/secret-settings.txt" | compact }}
{{- include "mlo.split" (list $config list $secrets $expressions) }}
{{- toYaml (dict "config" $config "secrets" $secrets) }}
{{- end }}

{{- /* A setting with its default; list: tree, path, default. */}}
{{- define "mlo.effective" -}}
{{- include "mlo.setting" (list (index . 0) (index . 1)) | default (index . 2) }}
{{- end }}

{{- /* Whether anything is published: "true" or "". */}}
{{- define "mlo.publishes" -}}
{{- if hasPrefix "prod" (include "mlo.setting" (list . "mode") | trim | lower) }}true{{ end }}
{{- end }}

{{- /* Whether it is published to Kubernetes: "true" or "". */}}
{{- define "mlo.toKubernetes" -}}
{{- if hasPrefix "configmap" (include "mlo.setting" (list . "publish.sink")) }}true{{ end }}
{{- end }}

{{- /* Whether Kubernetes is asked for Mimir's pods: "true" or "". */}}
{{- define "mlo.discovers" -}}
{{- $off := eq (include "mlo.setting" (list . "metricsDiscovery.enabled")) "false" }}
{{- if not (or $off (include "mlo.setting" (list . "mimir.endpoints"))) }}true{{ end }}
{{- end }}
