{{- define "agenttype.labels" -}}
app.kubernetes.io/name: agenttype
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "agenttype.operatorSelector" -}}
app.kubernetes.io/name: agenttype
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "agenttype.operatorName" -}}
{{ printf "%s-operator" .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "agenttype.natsName" -}}
{{ printf "%s-nats" .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "agenttype.natsSelector" -}}
app.kubernetes.io/name: agenttype
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: nats
{{- end }}

{{/* Where sidecars count shared limits; empty: nowhere. */}}
{{- define "agenttype.natsUrl" -}}
{{- if .Values.nats.enabled -}}
nats://{{ include "agenttype.natsName" . }}.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{ .Values.nats.url }}
{{- end -}}
{{- end }}

{{/* Role and binding of the gates: cluster-wide, so the release's namespace is part of the name. */}}
{{- define "agenttype.gateName" -}}
{{ printf "%s-%s-gate" .Release.Namespace .Release.Name }}
{{- end }}

{{/* Image of one of our rooms: include "agenttype.image" (list . "sidecar") */}}
{{- define "agenttype.image" -}}
{{- $root := index . 0 -}}
{{- $name := get $root.Values.images (index . 1) -}}
{{ $root.Values.images.prefix }}{{ $name }}:{{ $root.Values.images.tag | default $root.Chart.AppVersion }}
{{- end }}
