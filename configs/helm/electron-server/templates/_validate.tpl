{{/* What would fail at three in the morning fails here, with the reason. */}}
{{- define "electron.validate" -}}
{{- $config := .Values.config -}}
{{- $many := gt (include "electron.replicas" . | int) 1 -}}
{{- $auth := dig "admission" "auth" "" $config -}}
{{- range tuple (tuple "http" "host") (tuple "http" "port") (tuple "admission" "keys_file") (tuple "telemetry" "ledger" "directory") -}}
  {{- $here := $config -}}{{- $found := true -}}
  {{- range . -}}
    {{- if and $found (kindIs "map" $here) (hasKey $here .) -}}{{- $here = get $here . -}}{{- else -}}{{- $found = false -}}{{- end -}}
  {{- end -}}
  {{- if $found -}}{{- fail (printf "config.%s is set by the chart: take it out" (join "." .)) -}}{{- end -}}
{{- end -}}
{{- if dig "admission" "redis" "url" "" $config -}}
  {{- fail "config.admission.redis.url would stand in a ConfigMap: put it into a Secret and name it in redis.existingSecret" -}}
{{- end -}}
{{- if or (dig "telemetry" "ledger" "url" "" $config) (dig "admission" "salt_secret" "" $config) -}}
  {{- fail "config holds a secret (telemetry.ledger.url or admission.salt_secret): use ledger.existingSecret and salt.existingSecret" -}}
{{- end -}}
{{- if and (not .Values.keys.existingSecret) (ne $auth "none") -}}
  {{- fail "no keys: name the Secret with the key file in keys.existingSecret, or write config.admission.auth: none to serve whoever asks" -}}
{{- end -}}
{{- if and .Values.keys.existingSecret (eq $auth "none") -}}
  {{- fail "config.admission.auth: none contradicts keys.existingSecret" -}}
{{- end -}}
{{- if and (eq $auth "none") (not .Values.networkPolicy.enabled) -}}
  {{- fail "config.admission.auth: none with networkPolicy.enabled: false serves the whole cluster" -}}
{{- end -}}
{{- if and (gt (dig "http" "processes" 1 $config | int) 1) (ne $auth "none") (not .Values.redis.existingSecret) -}}
  {{- fail "config.http.processes > 1 needs redis.existingSecret: else every process has limits of its own, and an account as many times its plan" -}}
{{- end -}}
{{- if and $many (not .Values.redis.existingSecret) -}}
  {{- fail "more than one replica needs redis.existingSecret: else every replica has limits of its own, and an account as many times its plan" -}}
{{- end -}}
{{- if and .Values.gpu.enabled .Values.gpu.count (ne (int .Values.gpu.count) (include "electron.gpus" . | int)) -}}
  {{- fail (printf "gpu.count is %v, but config.engine uses %s (tensor_parallel_size x pipeline_parallel_size x data_parallel_size)" .Values.gpu.count (include "electron.gpus" .)) -}}
{{- end -}}
{{- if and .Values.lifecycle.gracePeriodSeconds (lt (int .Values.lifecycle.gracePeriodSeconds) (include "electron.grace" . | int)) -}}
  {{- fail (printf "lifecycle.gracePeriodSeconds is %v, but preStop %v + drain %s + teardown %v = %s" .Values.lifecycle.gracePeriodSeconds .Values.lifecycle.preStopSeconds (include "electron.drain" .) .Values.lifecycle.teardownSeconds (include "electron.grace" .)) -}}
{{- end -}}
{{- $startup := mul .Values.startupProbe.periodSeconds .Values.startupProbe.failureThreshold -}}
{{- if lt (int .Values.progressDeadlineSeconds) (int $startup) -}}
  {{- fail (printf "progressDeadlineSeconds is %v, but a pod may take %v seconds to start (startupProbe)" .Values.progressDeadlineSeconds $startup) -}}
{{- end -}}
{{- if and $many .Values.modelCache.create (not (has "ReadWriteMany" .Values.modelCache.accessModes)) -}}
  {{- fail "several replicas cannot share a ReadWriteOnce cache: modelCache.accessModes: [ReadWriteMany], or no claim" -}}
{{- end -}}
{{- if and .Values.modelCache.create .Values.modelCache.existingClaim -}}
  {{- fail "modelCache.create and modelCache.existingClaim: give one of them" -}}
{{- end -}}
{{- if and .Values.modelCache.readOnly (not .Values.huggingFace.offline) (not (hasPrefix "/" (dig "model" "path" "" $config))) -}}
  {{- fail "a cache that is read-only cannot be downloaded into: huggingFace.offline: true, or a path as config.model.path" -}}
{{- end -}}
{{- if and (eq .Values.autoscaling.kind "keda") (not .Values.autoscaling.prometheusAddress) -}}
  {{- fail "autoscaling.kind: keda needs autoscaling.prometheusAddress" -}}
{{- end -}}
{{- if and .Values.gateway.inferencePool.enabled (not .Values.gateway.inferencePool.endpointPicker) -}}
  {{- fail "gateway.inferencePool needs the name of the endpoint picker's Service (gateway.inferencePool.endpointPicker)" -}}
{{- end -}}
{{- if and .Values.gateway.inferencePool.enabled (gt (dig "engine" "data_parallel_size" 1 $config | int) 1) -}}
  {{- fail "an endpoint picker reads one engine per port: data_parallel_size > 1 is misread; use replicas" -}}
{{- end -}}
{{- if and .Values.gateway.httpRoute.enabled (not .Values.gateway.httpRoute.parentRefs) -}}
  {{- fail "gateway.httpRoute needs the Gateway it belongs to (gateway.httpRoute.parentRefs)" -}}
{{- end -}}
{{- if and .Values.kvEvents.enabled (dig "engine" "kv_events_config" "" $config) -}}
  {{- fail "config.engine.kv_events_config is set by kvEvents: give one of them" -}}
{{- end -}}
{{- if and .Values.kvEvents.enabled (not .Values.networkPolicy.enabled) -}}
  {{- fail "kvEvents: whoever reaches their port reads every prompt; they need networkPolicy.enabled" -}}
{{- end -}}
{{- end -}}
