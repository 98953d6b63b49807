{{- /* Names are the programs' own: one Tidemark to a cluster. `name`: tidemark-webhook, tidemark-sweeper; "" for neither. */ -}}
{{- define "tidemark.labels" -}}
app.kubernetes.io/part-of: tidemark
{{- with .name }}
app.kubernetes.io/name: {{ . }}
{{- end }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "tidemark.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tidemark.plural" -}}
{{- .plural | default (printf "%ss" (lower .kind)) -}}
{{- end -}}

{{- /* What both Deployments' pods have in common: `name`, `values` (of the program), `root`. */ -}}
{{- define "tidemark.podMetadata" -}}
labels:
  app.kubernetes.io/part-of: tidemark
  app.kubernetes.io/name: {{ .name }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # Not all of the configuration is followed while the programs run: another one is another pod.
  tidemark.dev/config-hash: {{ toYaml .root.Values.config | sha256sum | trunc 16 }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "tidemark.podSpec" -}}
serviceAccountName: {{ .name }}
automountServiceAccountToken: true
terminationGracePeriodSeconds: 30
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
# A name that does not resolve must not eat the admission deadline.
dnsConfig:
  options:
    - {name: ndots, value: "1"}
    - {name: timeout, value: "1"}
    - {name: attempts, value: "2"}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tidemark.container" -}}
image: {{ include "tidemark.image" .root }}
{{- with .root.Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
startupProbe:
  httpGet: {path: /healthz, port: ops}
  periodSeconds: 1
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: ops}
  periodSeconds: 10
  timeoutSeconds: 3
readinessProbe:
  httpGet: {path: /readyz, port: ops}
  periodSeconds: 2
  timeoutSeconds: 2
resources:
  {{- toYaml .values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}
