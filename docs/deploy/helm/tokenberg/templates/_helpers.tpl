{{- define "tokenberg.name" -}}
{{- if contains "tokenberg" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-tokenberg" .Release.Name }}{{ end -}}
{{- end }}

{{- define "tokenberg.labels" -}}
app.kubernetes.io/name: {{ include "tokenberg.name" . }}
{{- end }}

{{- define "tokenberg.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The source of a projected volume for a file of a ConfigMap or a Secret: (dict "of" VALUE "path" PATH). */}}
{{- define "tokenberg.file" -}}
{{- with .of.configMap }}
- configMap:
    name: {{ .name }}
    items: [{key: {{ .key }}, path: {{ $.path }}}]
{{- end }}
{{- with .of.secret }}
- secret:
    name: {{ .name }}
    items: [{key: {{ .key }}, path: {{ $.path }}}]
{{- end }}
{{- end }}

{{- /* The options of the store, as variables, so that commands in the container have them as well. */}}
{{- define "tokenberg.store" -}}
{{- $url := required "store.url is required" .Values.store.url -}}
- name: TOKENBERG_STORE
  value: {{ $url }}{{ with .Values.store.ca }}{{ ternary "&" "?" (contains "?" $url) }}sslrootcert=/etc/tokenberg/store-ca.crt{{ end }}
{{- if .Values.secret.storePassword }}
- name: TOKENBERG_STORE_PASSWORD_FILE
  value: /etc/tokenberg/store-password
{{- end }}
- name: TOKENBERG_KEY_FILE
  value: /etc/tokenberg/key
{{- end }}

{{- /* The pod of a job or of a node, without its container's own part: (dict "root" $ "name" CONTAINER'S NAME). */}}
{{- define "tokenberg.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
# The files of the volume belong to root and to this group, with mode 0440: other users cannot read the keys.
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: tokenberg
    projected:
      defaultMode: 0440
      sources:
        - secret:
            name: {{ .Values.secret.name }}
            items:
              - {key: {{ .Values.secret.key }}, path: key}
{{- with .Values.secret.storePassword }}
              - {key: {{ . }}, path: store-password}
{{- end }}
        - secret:
            name: {{ .Values.secret.name }}
            optional: true
            items: [{key: {{ .Values.secret.nextKey }}, path: next-key}]
{{- with include "tokenberg.file" (dict "of" .Values.store.ca "path" "store-ca.crt") }}{{ . | trim | nindent 8 }}{{ end }}
{{- with include "tokenberg.file" (dict "of" .Values.issuerCa "path" "issuer-ca.crt") }}{{ . | trim | nindent 8 }}{{ end }}
{{- with include "tokenberg.file" (dict "of" .Values.tls.clientCa "path" "client-ca.crt") }}{{ . | trim | nindent 8 }}{{ end }}
{{- with .Values.tls.secret }}
        - secret:
            name: {{ . }}
            items:
              - {key: tls.crt, path: tls.crt}
              - {key: tls.key, path: tls.key}
{{- end }}
{{- end }}

{{- define "tokenberg.mount" -}}
- {name: tokenberg, mountPath: /etc/tokenberg, readOnly: true}
{{- end }}

{{- /* The part that all containers have. */}}
{{- define "tokenberg.container" -}}
name: tokenberg
image: {{ include "tokenberg.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* The pod of the job that makes the store. */}}
{{- define "tokenberg.init" -}}
restartPolicy: OnFailure
{{ include "tokenberg.pod" . }}
containers:
  - {{ include "tokenberg.container" . | nindent 4 | trim }}
    volumeMounts:
      {{- include "tokenberg.mount" . | nindent 6 }}
    args:
      - init
      {{- with .Values.settings.alg }}
      - --alg={{ . }}
      {{- end }}
    env:
      {{- include "tokenberg.store" . | nindent 6 }}
    {{- with .Values.secret.bootstrapCredential }}
      - name: TOKENBERG_BOOTSTRAP_CREDENTIAL
        valueFrom: {secretKeyRef: {name: {{ $.Values.secret.name }}, key: {{ . }}, optional: true}}
    {{- end }}
{{- end }}

{{- /* The pod of the job that changes the key-encryption key. */}}
{{- define "tokenberg.keyChange" -}}
restartPolicy: OnFailure
{{ include "tokenberg.pod" . }}
containers:
  - {{ include "tokenberg.container" . | nindent 4 | trim }}
    volumeMounts:
      {{- include "tokenberg.mount" . | nindent 6 }}
    args:
      - key-encryption-key
      - change
      - --new-key-file=/etc/tokenberg/next-key
    env:
      {{- include "tokenberg.store" . | nindent 6 }}
{{- end }}
