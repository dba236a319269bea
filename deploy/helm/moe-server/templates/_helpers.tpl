{{- define "moe-server.labels" -}}
app.kubernetes.io/name: moe-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "moe-server.name" -}}
{{- printf "%s-moe-server" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "moe-server.claim" -}}
{{- .Values.model.existingClaim | default (include "moe-server.name" .) -}}
{{- end -}}
