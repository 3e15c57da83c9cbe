{{- define "streamrole.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "streamrole.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "streamrole.labels" -}}
{{ include "streamrole.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "streamrole.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "streamrole.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* A released chart knows the digest of its image. It is not in values.yaml, where it would win over a tag that the user
sets, and where `helm upgrade --reuse-values` would keep it. */ -}}
{{- define "streamrole.image" -}}
{{- $released := index (default dict .Chart.Annotations) "streamrole.dev/image-digest" -}}
{{- with coalesce .Values.image.digest (ternary $released "" (empty .Values.image.tag)) -}}
{{ $.Values.image.repository }}@{{ . }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "streamrole.subject" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "streamrole.serviceAccountName" . }}
    namespace: {{ .Release.Namespace }}
{{- end -}}

{{- /* Flags that say what the controller works with. */ -}}
{{- define "streamrole.where" -}}
{{- range .Values.controller.watchNamespaces }}
- --watch-namespace={{ . }}
{{- end }}
{{- if .Values.leaderElection.enabled }}
- --leader-election
- --lease-name={{ include "streamrole.fullname" . }}
{{- end }}
{{- end -}}

{{- define "streamrole.env" -}}
- name: AWS_REGION
  value: {{ .Values.aws.region }}
{{- with .Values.controller.logLevel }}
- name: RUST_LOG
  value: {{ . | quote }}
{{- end }}
{{- with .Values.tracing.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "streamrole.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "streamrole.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
