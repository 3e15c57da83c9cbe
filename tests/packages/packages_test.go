package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func TestHelmFindsNothingWrongWithTheChart(t *testing.T) {
	for name, given := range renderings {
		for _, message := range lint.All(chartFolder, given, "streamrole-system", true).Messages {
			// An icon is the only thing that it misses.
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, message)
			}
		}
	}
}

func TestValuesThatCannotWorkAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name  string
		given values
		words []string
	}{
		{"a value that does not exist", values{"replicas": 3}, []string{"replicas"}},
		{"a nested value that does not exist", values{"controller": values{"watchNamespace": "a"}}, []string{"watchNamespace"}},
		{"no namespace's name", values{"controller": values{"watchNamespaces": []any{"A"}}}, []string{"watchNamespaces"}},
		{"a resync without a unit", values{"controller": values{"resync": "10"}}, []string{"resync"}},
		{"no time between two resyncs", values{"controller": values{"resync": "0s"}}, []string{"resync"}},
		{"too many workers", values{"controller": values{"concurrency": 1001}}, []string{"concurrency"}},
		{"a role that is no ARN", values{"aws": values{"roleArn": "streamrole"}}, []string{"roleArn"}},
		{"no region", values{"aws": values{"region": ""}}, []string{"region"}},
		{"an endpoint that is no URL", values{"tracing": values{"otlpEndpoint": "collector:4318"}}, []string{"otlpEndpoint"}},
		{"two replicas that both work", values{"leaderElection": values{"enabled": false}}, []string{"leaderElection.enabled", "replicaCount"}},
		{"nothing to scrape", values{"service": values{"enabled": false}, "serviceMonitor": values{"enabled": true}}, []string{"service.enabled"}},
		{"no service account", values{"serviceAccount": values{"create": false}}, []string{"serviceAccount.name"}},
		{"one switch for readers and authors", values{"rbac": values{"userRoles": true}}, []string{"userRoles"}},
		{"a port without an address", values{"controller": values{"listen": ":8080"}}, []string{"listen"}},
		{"an address without a port", values{"controller": values{"listen": "0.0.0.0"}}, []string{"listen"}},
		{"an address that probes cannot reach", values{"controller": values{"listen": "127.0.0.1:8080"}}, []string{"listen"}},
		{"a tag whose key the flag would cut", values{"controller": values{"defaultTags": values{"a=b": "c"}}}, []string{"defaultTags", "a=b"}},
		{"a reserved tag", values{"controller": values{"defaultTags": values{"aws:a": "b"}}}, []string{"defaultTags", "aws:a"}},
		{"too long a tag", values{"controller": values{"defaultTags": values{strings.Repeat("a", 129): "c"}}}, []string{"defaultTags"}},
		{"a value that no tag can have", values{"controller": values{"defaultTags": values{"a": "b*"}}}, []string{"defaultTags/a"}},
		{"a tag that is no string", values{"controller": values{"defaultTags": values{"a": 1}}}, []string{"defaultTags"}},
		{"a prefix that no role can have", values{"controller": values{"roleNamePrefix": "a/"}}, []string{"roleNamePrefix"}},
		{"a prefix that leaves no room", values{"controller": values{"roleNamePrefix": strings.Repeat("a", 33)}}, []string{"roleNamePrefix"}},
		{"a cluster's identity that the controller refuses", values{"controller": values{"clusterId": "the cluster"}}, []string{"clusterId"}},
		{"an annotation that would not be written", values{
			"aws": values{"roleArn": "arn:aws:iam::111122223333:role/a"}, "serviceAccount": values{"create": false, "name": "existing"},
		}, []string{"aws.roleArn", "serviceAccount.create", "service account existing", "eks.amazonaws.com/role-arn=arn:aws:iam::111122223333:role/a"}},
		{"a switch that nothing reads", values{"enabled": false}, []string{"enabled", "condition"}},
		{"a switch that is none", values{"enabled": "yes"}, []string{"enabled"}},
		{"a volume without a name", values{"extraVolumes": []any{values{"emptyDir": values{}}}}, []string{"extraVolumes", "name"}},
		{"a mount without a path", values{"extraVolumeMounts": []any{values{"name": "ca"}}}, []string{"extraVolumeMounts", "mountPath"}},
		{"a container without an image", values{"extraContainers": []any{values{"name": "helper"}}}, []string{"extraContainers", "image"}},
		{"an init container without a name", values{"initContainers": []any{values{"image": "helper"}}}, []string{"initContainers", "name"}},
		{"a source of nothing", values{"envFrom": []any{values{"prefix": "A_"}}}, []string{"envFrom"}},
		{"a source of another kind", values{"envFrom": []any{values{"secretRef": values{"name": "a"}, "fileRef": values{"name": "a"}}}}, []string{"envFrom", "fileRef"}},
		{"a user by name", values{"podSecurityContext": values{"runAsUser": "nonroot"}}, []string{"podSecurityContext", "runAsUser"}},
		{"a security context that is a word", values{"securityContext": values{"capabilities": "none"}}, []string{"securityContext", "capabilities"}},
		{"a label of the test that is no string", values{"testPod": values{"labels": values{"a": 1}}}, []string{"testPod", "labels"}},
		{"less time than stopping takes", values{"terminationGracePeriodSeconds": 20}, []string{"terminationGracePeriodSeconds"}},
	} {
		_, err := renderChart(c.given)
		if err == nil {
			t.Errorf("%s is not refused", c.name)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s is refused, but not by %q: %v", c.name, word, err)
			}
		}
	}
}

func TestBothPackageFormsInstallTheImageOfThisVersion(t *testing.T) {
	manifest, err := os.ReadFile("../../Cargo.toml")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^version = "(.+)"$`).FindSubmatch(manifest)
	if version == nil {
		t.Fatal("Cargo.toml has no version")
	}
	helm, err := renderChart(values{})
	if err != nil {
		t.Fatal(err)
	}
	base, err := kustomize(kustomizeFolder + "/base")
	if err != nil {
		t.Fatal(err)
	}
	image := "image: ghcr.io/streamrole/streamrole:" + string(version[1]) + "\n"
	for name, rendered := range map[string]string{"helm": helm, "kustomize": base} {
		if !strings.Contains(rendered, image) {
			t.Errorf("%s does not have %q", name, image)
		}
	}
}

func TestReleasedPackagesInstallTheImageByTheDigestThatWasSigned(t *testing.T) {
	signed, other := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	released := t.TempDir()
	if err := os.CopyFS(released, os.DirFS("../../deploy")); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("bash", released+"/pin-image", signed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, c := range []struct {
		name  string
		image values
		want  string
	}{
		{"as released", values{}, "@" + signed},
		{"from a mirror", values{"repository": "mirror/streamrole"}, "@" + signed},
		{"with a tag", values{"tag": "dev"}, ":dev"},
		{"with a digest", values{"digest": other}, "@" + other},
		{"with both", values{"tag": "dev", "digest": other}, "@" + other},
	} {
		chart, err := loader.Load(released + "/helm/streamrole")
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := render(chart, values{"image": c.image})
		if err != nil {
			t.Fatal(err)
		}
		images := regexp.MustCompile(`image: \S*streamrole(\S*)`).FindAllStringSubmatch(rendered, -1)
		if len(images) != 2 {
			t.Fatalf("%s: images of the controller and of helm test: %v", c.name, images)
		}
		for _, image := range images {
			if image[1] != c.want {
				t.Errorf("%s: %s, not %s", c.name, image[1], c.want)
			}
		}
	}
	chart, err := loader.Load(released + "/helm/streamrole")
	if err != nil {
		t.Fatal(err)
	}
	if told := chart.Metadata.Annotations["artifacthub.io/images"]; !strings.Contains(told, "ghcr.io/streamrole/streamrole@"+signed) {
		t.Errorf("Artifact Hub shows %s", told)
	}
	base, err := kustomize(released + "/kustomize/overlays/pod-identity")
	if err != nil {
		t.Fatal(err)
	}
	if image := "image: ghcr.io/streamrole/streamrole@" + signed + "\n"; !strings.Contains(base, image) {
		t.Errorf("kustomize does not have %q", image)
	}
}

// Each case is what the user reads after `helm install`.
func TestTheNotesSayWhoIsAnAuthor(t *testing.T) {
	for _, c := range []struct {
		name  string
		given values
		words string
	}{
		{"by default", values{}, "only cluster admins, until you bind the ClusterRole streamrole-edit"},
		{"with all editors", values{"rbac": values{"userRoles": values{"edit": true}}}, "everyone with the ClusterRole edit or admin in a namespace"},
		{"without roles", values{"rbac": values{"create": false}}, "whoever you grant write access to"},
	} {
		chart, err := loader.Load(chartFolder)
		if err != nil {
			t.Fatal(err)
		}
		files, err := renderFiles(chart, c.given)
		if err != nil {
			t.Fatal(err)
		}
		if notes := files["streamrole/templates/NOTES.txt"]; !strings.Contains(notes, c.words) {
			t.Errorf("%s: %q is not in:\n%s", c.name, c.words, notes)
		}
	}
}

func TestThePortFollowsTheAddress(t *testing.T) {
	rendered, err := renderChart(values{"controller": values{"listen": "[::]:9090"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"--listen=[::]:9090\n", "containerPort: 9090\n", "targetPort: metrics\n"} {
		if !strings.Contains(rendered, words) {
			t.Errorf("%q is missing", words)
		}
	}
	if count := strings.Count(rendered, "8080"); count != 1 {
		t.Errorf("8080 is there %d times, not only as the Service's port", count)
	}
}
