package main

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"
)

// decode gives what is in this YAML as JSON has it.
func decode(t *testing.T, text string) any {
	t.Helper()
	var decoded any
	if err := yaml.Unmarshal([]byte(text), &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// asJSON gives the same value with the types that decode gives.
func asJSON(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(text))
}

// at gives what is at this path, as in containers/0/image, and nil where there is nothing.
func at(value any, path string) any {
	for _, step := range strings.Split(path, "/") {
		switch there := value.(type) {
		case map[string]any:
			value = there[step]
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index >= len(there) {
				return nil
			}
			value = there[index]
		default:
			return nil
		}
	}
	return value
}

func object(t *testing.T, rendered, kind string) any {
	t.Helper()
	for _, document := range strings.Split(rendered, "\n---\n") {
		if decoded := decode(t, document); at(decoded, "kind") == kind {
			return decoded
		}
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

// pods gives the controller's pod and that of `helm test`.
func pods(t *testing.T, rendered string) (any, any) {
	t.Helper()
	return at(object(t, rendered, "Deployment"), "spec/template"), object(t, rendered, "Pod")
}

func chartWith(t *testing.T, given values) string {
	t.Helper()
	rendered, err := renderChart(given)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

func TestWhatIsGivenForThePodIsInIt(t *testing.T) {
	volume := []any{values{"name": "ca", "configMap": values{"name": "corporate-ca"}}}
	mount := []any{values{"name": "ca", "mountPath": "/etc/ssl/certs", "readOnly": true}}
	sources := []any{values{"secretRef": values{"name": "aws"}}}
	container := []any{values{"name": "helper", "image": "example.com/helper:1", "restartPolicy": "Always"}}
	const both, controller, test = "both", "controller", "test"
	for _, c := range []struct {
		name  string
		given values
		pod   string
		path  string
		want  any
	}{
		{"extraVolumes", values{"extraVolumes": volume}, both, "spec/volumes", volume},
		{"extraVolumeMounts", values{"extraVolumeMounts": mount}, both, "spec/containers/0/volumeMounts", mount},
		{"envFrom", values{"envFrom": sources}, both, "spec/containers/0/envFrom", sources},
		{"initContainers", values{"initContainers": container}, both, "spec/initContainers", container},
		{"extraContainers", values{"extraContainers": container}, controller, "spec/containers/1", container[0]},
		{"extraContainers in helm test", values{"extraContainers": container}, test, "spec/containers/1", nil},
		{"the user by default", values{}, both, "spec/securityContext/runAsUser", 65532},
		{"the group by default", values{}, both, "spec/securityContext/runAsGroup", 65532},
		{"another user", values{"podSecurityContext": values{"runAsUser": 1000}}, both, "spec/securityContext",
			values{"runAsUser": 1000, "runAsGroup": 65532, "runAsNonRoot": true, "seccompProfile": values{"type": "RuntimeDefault"}}},
		{"the user left to OpenShift", values{"podSecurityContext": values{"runAsUser": nil, "runAsGroup": nil}}, both, "spec/securityContext",
			values{"runAsNonRoot": true, "seccompProfile": values{"type": "RuntimeDefault"}}},
		{"the user left out by nothing", values{"podSecurityContext": values{"runAsUser": "", "runAsGroup": ""}}, both, "spec/securityContext",
			values{"runAsNonRoot": true, "seccompProfile": values{"type": "RuntimeDefault"}}},
		{"root", values{"podSecurityContext": values{"runAsUser": 0}}, both, "spec/securityContext/runAsUser", 0},
		{"what the container may do", values{"securityContext": values{"seLinuxOptions": values{"level": "s0"}}}, both, "spec/containers/0/securityContext",
			values{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": values{"drop": []any{"ALL"}}, "seLinuxOptions": values{"level": "s0"}}},
		{"the system by default", values{}, both, "spec/nodeSelector", values{"kubernetes.io/os": "linux"}},
		{"nodes", values{"nodeSelector": values{"pool": "system"}}, both, "spec/nodeSelector", values{"kubernetes.io/os": "linux", "pool": "system"}},
		{"any system", values{"nodeSelector": values{"kubernetes.io/os": nil}}, both, "spec/nodeSelector", nil},
		{"labels", values{"podLabels": values{"team": "a"}}, both, "metadata/labels/team", "a"},
		{"annotations", values{"podAnnotations": values{"team": "a"}}, both, "metadata/annotations/team", "a"},
		{"the default container", values{"podAnnotations": values{"kubectl.kubernetes.io/default-container": "b"}}, controller, "metadata/annotations",
			values{"kubectl.kubernetes.io/default-container": "b"}},
		{"labels of the test", values{"podLabels": values{"team": "a"}, "testPod": values{"labels": values{"team": "b"}}}, test, "metadata/labels/team", "b"},
		{"annotations of the test", values{"testPod": values{"annotations": values{"sidecar.istio.io/inject": "false"}}}, test, "metadata/annotations",
			values{"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation", "sidecar.istio.io/inject": "false"}},
		{"annotations of the test elsewhere", values{"testPod": values{"annotations": values{"a": "b"}}}, controller, "metadata/annotations/a", nil},
		// The Service and the PodDisruptionBudget choose by them.
		{"a label that is the chart's", values{"podLabels": values{"app.kubernetes.io/name": "a"}}, controller, "metadata/labels/app.kubernetes.io~name", "streamrole"},
		{"a label that is the test's", values{"podLabels": values{"app.kubernetes.io/name": "a"}}, test, "metadata/labels/app.kubernetes.io~name", "streamrole-check"},
	} {
		own, check := pods(t, chartWith(t, c.given))
		chosen := map[string][]any{both: {own, check}, controller: {own}, test: {check}}[c.pod]
		for _, pod := range chosen {
			if found := atKey(pod, c.path); !reflect.DeepEqual(found, asJSON(t, c.want)) {
				t.Errorf("%s: %v, not %v", c.name, found, c.want)
			}
		}
	}
}

// atKey is at with ~ for a slash in the last step.
func atKey(value any, path string) any {
	if last := strings.LastIndex(path, "/"); strings.Contains(path, "~") {
		there, _ := at(value, path[:last]).(map[string]any)
		return there[strings.ReplaceAll(path[last+1:], "~", "/")]
	}
	return at(value, path)
}

func TestALostFirstProbeCostsASecondAtMost(t *testing.T) {
	own, _ := pods(t, chartWith(t, values{}))
	probe := at(own, "spec/containers/0/startupProbe")
	want := values{"httpGet": values{"path": "/healthz", "port": "metrics"}, "periodSeconds": 1, "failureThreshold": 30}
	if !reflect.DeepEqual(probe, asJSON(t, want)) {
		t.Errorf("%v", probe)
	}
}

func TestReplicasAreSpreadUnlessTheUserSaysHow(t *testing.T) {
	chosen := values{"matchLabels": values{"app.kubernetes.io/name": "streamrole", "app.kubernetes.io/instance": "streamrole"}}
	revision := []any{"pod-template-hash"}
	nodes := []any{values{
		"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
		"matchLabelKeys": revision, "labelSelector": chosen,
	}}
	zones := values{"preferredDuringSchedulingIgnoredDuringExecution": []any{values{
		"weight": 100, "podAffinityTerm": values{
			"topologyKey": "topology.kubernetes.io/zone", "matchLabelKeys": revision, "labelSelector": chosen,
		},
	}}}
	own := []any{values{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}}
	for _, c := range []struct {
		name                  string
		given                 values
		affinity, constraints any
	}{
		{"by default", values{}, values{"podAntiAffinity": zones}, nodes},
		{"with a choice of nodes", values{"affinity": values{"nodeAffinity": values{"a": 1}}}, values{"nodeAffinity": values{"a": 1}, "podAntiAffinity": zones}, nodes},
		{"with another anti-affinity", values{"affinity": values{"podAntiAffinity": values{"a": 1}}}, values{"podAntiAffinity": values{"a": 1}}, nodes},
		{"without any", values{"affinity": values{"podAntiAffinity": values{}}}, values{"podAntiAffinity": values{}}, nodes},
		{"with other constraints", values{"topologySpreadConstraints": own}, nil, own},
	} {
		pod, _ := pods(t, chartWith(t, c.given))
		if found := at(pod, "spec/affinity"); !reflect.DeepEqual(found, asJSON(t, c.affinity)) {
			t.Errorf("%s: affinity: %v", c.name, found)
		}
		if found := at(pod, "spec/topologySpreadConstraints"); !reflect.DeepEqual(found, asJSON(t, c.constraints)) {
			t.Errorf("%s: constraints: %v", c.name, found)
		}
	}
}

func TestBothPackageFormsRunTheSamePod(t *testing.T) {
	for overlay, given := range map[string]values{
		"base":               {},
		"overlays/openshift": {"podSecurityContext": values{"runAsUser": nil, "runAsGroup": nil}},
	} {
		kustomized, err := kustomize(kustomizeFolder + "/" + overlay)
		if err != nil {
			t.Fatal(err)
		}
		base := object(t, kustomized, "Deployment")
		chart := object(t, chartWith(t, given), "Deployment")
		for _, path := range []string{"spec/template/spec", "spec/strategy", "spec/replicas", "spec/selector"} {
			if helm, kustomize := at(chart, path), at(base, path); !reflect.DeepEqual(helm, kustomize) {
				t.Errorf("%s: %s: %v in the chart, %v with Kustomize", overlay, path, helm, kustomize)
			}
		}
	}
}

// What `helm upgrade --reuse-values` leaves of this chart's values.yaml where a release was made by an older one, and what a
// values file can take away.
func TestValuesOfAnOlderChartMakeTheSamePod(t *testing.T) {
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{
		"envFrom", "extraVolumes", "extraVolumeMounts", "initContainers", "extraContainers", "podSecurityContext", "securityContext", "testPod",
		"podLabels", "podAnnotations", "affinity", "tolerations", "topologySpreadConstraints",
	} {
		if _, there := loaded.Values[value]; !there {
			t.Errorf("values.yaml has no %s", value)
		}
		delete(loaded.Values, value)
	}
	rendered, err := render(loaded, values{})
	if err != nil {
		t.Fatal(err)
	}
	own, check := pods(t, rendered)
	wantedOwn, wantedCheck := pods(t, chartWith(t, values{}))
	if !reflect.DeepEqual(own, wantedOwn) {
		t.Errorf("%v, not %v", own, wantedOwn)
	}
	if !reflect.DeepEqual(check, wantedCheck) {
		t.Errorf("%v, not %v", check, wantedCheck)
	}
}

func TestTheSchemaAndTheValuesNameTheSame(t *testing.T) {
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	named := at(decode(t, string(loaded.Schema)), "properties").(map[string]any)
	// What Helm hands to the chart of a dependency.
	delete(named, "global")
	delete(named, "enabled")
	for value := range named {
		if _, there := loaded.Values[value]; !there {
			t.Errorf("values.yaml does not say what %s does", value)
		}
	}
}

// umbrella renders the chart as a dependency of another.
func umbrella(t *testing.T, condition string, given values) (map[string]string, error) {
	t.Helper()
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	parent := &chart.Chart{Metadata: &chart.Metadata{
		APIVersion: "v2", Name: "platform", Version: "1.0.0",
		Dependencies: []*chart.Dependency{{Name: "streamrole", Version: loaded.Metadata.Version, Condition: condition}},
	}}
	parent.AddDependency(loaded)
	if err := chartutil.ProcessDependenciesWithMerge(parent, given); err != nil {
		t.Fatal(err)
	}
	release := chartutil.ReleaseOptions{Name: "platform", Namespace: "platform", IsInstall: true}
	all, err := chartutil.ToRenderValues(parent, given, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(parent, all)
}

func TestAnUmbrellaChartSwitchesItOnAndOff(t *testing.T) {
	const deployment = "platform/charts/streamrole/templates/deployment.yaml"
	global := values{"imageRegistry": "example.com"}
	on := values{"enabled": true, "podSecurityContext": values{"runAsUser": nil}}
	files, err := umbrella(t, "streamrole.enabled", values{"global": global, "streamrole": on})
	if err != nil {
		t.Fatal(err)
	}
	rendered := decode(t, files[deployment])
	if name := at(rendered, "metadata/name"); name != "platform-streamrole" {
		t.Errorf("%v", name)
	}
	user, there := at(rendered, "spec/template/spec/securityContext").(map[string]any)["runAsUser"]
	if there {
		t.Errorf("the user is %v, not left out", user)
	}

	off := values{"streamrole": values{"enabled": false}}
	if files, err = umbrella(t, "streamrole.enabled", off); err != nil || len(files) != 0 {
		t.Errorf("switched off: %v, %v", files, err)
	}
	if _, err = umbrella(t, "", off); err == nil || !strings.Contains(err.Error(), "condition") {
		t.Errorf("switched off by what nothing reads: %v", err)
	}
}

func TestTagsAndPrefixOfAllRolesAreFlags(t *testing.T) {
	given := values{"defaultTags": values{"team": "a: b", "Kosten": "4711"}, "roleNamePrefix": "production-"}
	own, check := pods(t, chartWith(t, values{"controller": given}))
	var flags []any
	for _, argument := range at(own, "spec/containers/0/args").([]any) {
		name, _, _ := strings.Cut(argument.(string), "=")
		if name == "--default-tag" || name == "--role-name-prefix" {
			flags = append(flags, argument)
		}
	}
	want := []any{"--default-tag=Kosten=4711", "--default-tag=team=a: b", "--role-name-prefix=production-"}
	if !reflect.DeepEqual(flags, want) {
		t.Errorf("%v", flags)
	}
	// `streamrole check` knows neither.
	if len(at(check, "spec/containers/0/args").([]any)) != 3 {
		t.Errorf("%v", check)
	}
}

func TestWithAnIdentityAndNamespacesNothingIsNeededOfTheWholeCluster(t *testing.T) {
	rendered := chartWith(t, values{
		"controller": values{"clusterId": "production-eu", "watchNamespaces": []any{"a", "b"}},
		"rbac":       values{"userRoles": values{"view": false}},
	})
	own, check := pods(t, rendered)
	for _, arguments := range []any{at(own, "spec/containers/0/args"), at(check, "spec/containers/0/args")} {
		if !slices.Contains(arguments.([]any), any("--cluster-id=production-eu")) {
			t.Errorf("%v", arguments)
		}
	}
	// Two namespaces, and the Lease.
	bindings := regexp.MustCompile(`(?m)^kind: (Cluster)?RoleBinding$`).FindAllString(rendered, -1)
	if want := []string{"kind: RoleBinding", "kind: RoleBinding", "kind: RoleBinding"}; !slices.Equal(bindings, want) {
		t.Errorf("%v", bindings)
	}
}
