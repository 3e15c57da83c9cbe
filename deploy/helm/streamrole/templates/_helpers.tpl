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

{{- define "streamrole.checked" -}}
{{- if eq .Values.enabled false -}}
{{- fail "enabled is false, but nothing uses it: it is for the `condition` of an umbrella chart's dependency. Add a condition to the dependency, or do not install the chart" -}}
{{- end -}}
{{- if and .Values.aws.roleArn (not .Values.serviceAccount.create) -}}
{{- fail (printf "aws.roleArn is set, but serviceAccount.create is false, so nothing would write the annotation. Leave aws.roleArn empty and annotate the service account %s yourself: eks.amazonaws.com/role-arn=%s" (include "streamrole.serviceAccountName" .) .Values.aws.roleArn) -}}
{{- end -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount is more than 1, but leaderElection.enabled is false: two replicas would reconcile the same roles. Set replicaCount to 1, or leave leader election on" -}}
{{- end -}}
{{- end -}}

{{- /* A released chart knows the digest of its image. The digest is not in values.yaml, where it would override a tag that the
user sets, and where `helm upgrade --reuse-values` would keep it. */ -}}
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

{{- /* Flags that select what the controller works on. */ -}}
{{- define "streamrole.where" -}}
{{- range .Values.controller.watchNamespaces }}
- --watch-namespace={{ . }}
{{- end }}
{{- with .Values.controller.clusterId }}
- --cluster-id={{ . }}
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

{{- /* Older releases lack these two values, and `helm upgrade --reuse-values` keeps their values. */ -}}
{{- define "streamrole.podSecurityContext" -}}
{{- $default := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- include "streamrole.withoutEmpty" (kindIs "map" .Values.podSecurityContext | ternary .Values.podSecurityContext $default) -}}
{{- end -}}

{{- define "streamrole.securityContext" -}}
{{- $default := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- include "streamrole.withoutEmpty" (kindIs "map" .Values.securityContext | ternary .Values.securityContext $default) -}}
{{- end -}}

{{- /* A null removes a default, but Helm 4 loses it in the values.yaml of an umbrella chart. An empty string works too. */ -}}
{{- define "streamrole.withoutEmpty" -}}
{{- $kept := dict -}}
{{- range $name, $value := . -}}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) -}}
{{- $_ := set $kept $name $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}
