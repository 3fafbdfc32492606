{{- define "electron.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 55 | trimSuffix "-" -}}
{{- end -}}

{{- define "electron.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- else if contains (include "electron.name" .) .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "electron.name" .) | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "electron.selector" -}}
app.kubernetes.io/name: {{ include "electron.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "electron.labels" -}}
{{ include "electron.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: electron
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "electron.image" -}}
{{- $name := .Values.image.repository -}}
{{- with default (dig "imageRegistry" "" (.Values.global | default dict)) .Values.image.registry -}}
{{- $name = printf "%s/%s" . $name -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "electron.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "electron.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* How many GPUs the engine's own settings ask for. */}}
{{- define "electron.gpus" -}}
{{- $engine := .Values.config.engine | default dict -}}
{{- mul (dig "tensor_parallel_size" 1 $engine | int) (dig "pipeline_parallel_size" 1 $engine | int) (dig "data_parallel_size" 1 $engine | int) -}}
{{- end -}}

{{/* Seconds from SIGTERM until the server has let go of its last call: its own defaults where config is silent. */}}
{{- define "electron.drain" -}}
{{- $lifecycle := .Values.config.lifecycle | default dict -}}
{{- addf (dig "drain_pause" 2 $lifecycle) (dig "drain_timeout" 30 $lifecycle) | ceil | int -}}
{{- end -}}

{{- define "electron.grace" -}}
{{- add .Values.lifecycle.preStopSeconds (include "electron.drain" . | int) .Values.lifecycle.teardownSeconds -}}
{{- end -}}

{{- define "electron.replicas" -}}
{{- if eq .Values.autoscaling.kind "none" -}}{{ .Values.replicaCount }}{{- else -}}{{ .Values.autoscaling.maxReplicas }}{{- end -}}
{{- end -}}

{{- define "electron.servedName" -}}
{{- $names := dig "model" "served_names" "electron" .Values.config -}}
{{- if kindIs "slice" $names -}}{{ first $names }}{{- else -}}{{ $names }}{{- end -}}
{{- end -}}

{{- define "electron.claim" -}}
{{- default (printf "%s-models" (include "electron.fullname" .)) .Values.modelCache.existingClaim -}}
{{- end -}}

{{- define "electron.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .from.existingSecret }}
      key: {{ .from.secretKey }}
{{- end -}}
