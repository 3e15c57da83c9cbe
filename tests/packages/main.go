// Command packages renders both package forms as users would: the Helm chart with several values, by Helm's own code,
// and the Kustomize base with its overlays, by Kustomize's own. It writes one YAML file for each into the folder that
// the argument names. It knows nothing of clusters.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	chartFolder     = "../../deploy/helm/streamrole"
	kustomizeFolder = "../../deploy/kustomize"
)

type values = map[string]any

// helper is a container that Pod Security lets in where it is restricted.
func helper(name string) values {
	return values{
		"name": name, "image": "example.com/helper:1",
		"securityContext": values{"allowPrivilegeEscalation": false, "capabilities": values{"drop": []any{"ALL"}}},
	}
}

// renderings of the chart, by name.
var renderings = map[string]values{
	"default": {},
	"everything": {
		"image":            values{"digest": "sha256:" + strings.Repeat("0", 64)},
		"imagePullSecrets": []any{values{"name": "registry"}},
		"aws":              values{"region": "cn-north-1", "roleArn": "arn:aws-cn:iam::111122223333:role/streamrole-controller/streamrole-controller"},
		"rbac":             values{"userRoles": values{"edit": true}},
		"serviceAccount":   values{"annotations": values{"example.com/owner": "platform"}},
		"controller": values{"listen": "0.0.0.0:9090", "logLevel": "debug", "logFormat": "text", "resync": "1h", "concurrency": 20,
			"defaultTags": values{"cost center": "4711", "a": "b=c"}, "roleNamePrefix": "production-"},
		"tracing":  values{"otlpEndpoint": "http://collector:4318"},
		"extraEnv": []any{values{"name": "OTEL_SERVICE_NAME", "value": "streamrole-eu"}},
		"envFrom":  []any{values{"configMapRef": values{"name": "aws", "optional": true}, "prefix": "AWS_"}},
		"extraVolumes": []any{
			values{"name": "ca", "configMap": values{"name": "corporate-ca"}},
			values{"name": "aws-token", "projected": values{"sources": []any{
				values{"serviceAccountToken": values{"audience": "sts.amazonaws.com", "path": "token"}},
			}}},
		},
		"extraVolumeMounts": []any{
			values{"name": "ca", "mountPath": "/etc/ssl/certs", "readOnly": true},
			values{"name": "aws-token", "mountPath": "/var/run/secrets/aws", "readOnly": true},
		},
		"initContainers":    []any{helper("before")},
		"extraContainers":   []any{helper("beside")},
		"testPod":           values{"annotations": values{"sidecar.istio.io/inject": "false"}, "labels": values{"example.com/e": "f"}},
		"priorityClassName": "system-cluster-critical",
		"podAnnotations":    values{"example.com/a": "b"},
		"podLabels":         values{"example.com/c": "d"},
		"nodeSelector":      values{"kubernetes.io/os": "linux"},
		"tolerations":       []any{values{"key": "dedicated", "operator": "Exists"}},
		"affinity":          values{"nodeAffinity": values{}},
		"topologySpreadConstraints": []any{values{
			"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
			"labelSelector": values{"matchLabels": values{"app.kubernetes.io/name": "streamrole"}},
		}},
		"service":        values{"annotations": values{"example.com/scrape": "true"}},
		"serviceMonitor": values{"enabled": true, "labels": values{"release": "prometheus"}},
		"prometheusRule": values{"enabled": true, "labels": values{"release": "prometheus"}},
		"dashboard":      values{"enabled": true, "annotations": values{"grafana_folder": "AWS"}},
		"networkPolicy": values{"metricsFrom": []any{values{
			"namespaceSelector": values{"matchLabels": values{"kubernetes.io/metadata.name": "monitoring"}},
		}}},
	},
	"namespaced": {
		"controller":    values{"watchNamespaces": []any{"default", "kube-public"}},
		"networkPolicy": values{"metricsFrom": []any{}},
	},
	"openshift": {
		"podSecurityContext": values{"runAsUser": nil, "runAsGroup": nil},
	},
	"single": {
		"replicaCount":        1,
		"leaderElection":      values{"enabled": false},
		"podDisruptionBudget": values{"enabled": false},
		"service":             values{"enabled": false},
		"crds":                values{"install": false},
		"rbac":                values{"create": false, "userRoles": values{"view": false}},
		"admissionWarnings":   values{"enabled": false},
		"serviceAccount":      values{"create": false, "name": "existing"},
		"networkPolicy":       values{"enabled": false},
	},
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: packages <folder for what is rendered>"))
	}
	if err := renderAll(os.Args[1]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "packages:", err)
	os.Exit(1)
}

func renderAll(folder string) error {
	for name, given := range renderings {
		text, err := renderChart(given)
		if err != nil {
			return fmt.Errorf("the chart with the values %q: %w", name, err)
		}
		if err := write(folder, "helm-"+name, text); err != nil {
			return err
		}
	}
	for _, path := range []string{"base", "overlays/irsa", "overlays/pod-identity", "overlays/openshift", "overlays/monitoring"} {
		text, err := kustomize(filepath.Join(kustomizeFolder, path))
		if err != nil {
			return fmt.Errorf("kustomize %s: %w", path, err)
		}
		if err := write(folder, "kustomize-"+filepath.Base(path), text); err != nil {
			return err
		}
	}
	return nil
}

func write(folder, name, text string) error {
	return os.WriteFile(filepath.Join(folder, name+".yaml"), []byte(text), 0o644)
}

// renderChart gives what `helm install streamrole --namespace streamrole-system` would apply with these values.
func renderChart(given values) (string, error) {
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		return "", err
	}
	return render(loaded, given)
}

// renderFiles gives what each template makes of these values, the notes too.
func renderFiles(loaded *chart.Chart, given values) (map[string]string, error) {
	release := chartutil.ReleaseOptions{Name: "streamrole", Namespace: "streamrole-system", IsInstall: true}
	// Checks the values against the schema too.
	all, err := chartutil.ToRenderValues(loaded, given, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, all)
}

func render(loaded *chart.Chart, given values) (string, error) {
	rendered, err := renderFiles(loaded, given)
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(rendered))
	for name := range rendered {
		names = append(names, name)
	}
	sort.Strings(names)
	var manifests []string
	for _, name := range names {
		text := strings.TrimSpace(rendered[name])
		if strings.HasSuffix(name, ".yaml") && text != "" {
			manifests = append(manifests, text)
		}
	}
	return strings.Join(manifests, "\n---\n") + "\n", nil
}

// kustomize gives what `kubectl apply -k` would apply, with its restrictions on where files may be.
func kustomize(folder string) (string, error) {
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return "", err
	}
	text, err := made.AsYaml()
	return string(text), err
}
