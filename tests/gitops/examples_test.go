package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// kinds gives the kinds that the CustomResourceDefinitions declare.
func kinds(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../crds/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v: %v", files, err)
	}
	var all []string
	for _, file := range files {
		var definition struct {
			Spec struct {
				Names struct {
					Kind string `json:"kind"`
				} `json:"names"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(text(t, file)), &definition); err != nil {
			t.Fatal(err)
		}
		all = append(all, definition.Spec.Names.Kind)
	}
	return all
}

func TestTheConfigMapHoldsTheHealthScriptForEachKind(t *testing.T) {
	var patch struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal([]byte(text(t, "../../deploy/argocd/argocd-cm.yaml")), &patch); err != nil {
		t.Fatal(err)
	}
	script := text(t, healthScript)
	for _, kind := range kinds(t) {
		key := "resource.customizations.health.streamrole.dev_" + kind
		if patch.Data[key] != script {
			t.Errorf("deploy/argocd/argocd-cm.yaml must have deploy/argocd/health.lua as %s", key)
		}
		delete(patch.Data, key)
	}
	if len(patch.Data) > 0 {
		t.Errorf("deploy/argocd/argocd-cm.yaml has other keys too: %v", slices.Collect(maps.Keys(patch.Data)))
	}
}

func TestFluxWaitsForAResourceOfEachKind(t *testing.T) {
	examples, err := os.Open("../../deploy/flux/kustomizations.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer examples.Close()
	var awaited []string
	for documents := utilyaml.NewYAMLOrJSONDecoder(examples, 4096); ; {
		var object unstructured.Unstructured
		if err := documents.Decode(&object); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		checks, _, err := unstructured.NestedSlice(object.Object, "spec", "healthChecks")
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range checks {
			if check := check.(fields); strings.HasPrefix(check["apiVersion"].(string), "streamrole.dev/") {
				awaited = append(awaited, check["kind"].(string))
			}
		}
	}
	slices.Sort(awaited)
	if all := slices.Sorted(slices.Values(kinds(t))); !slices.Equal(awaited, all) {
		t.Errorf("deploy/flux/kustomizations.yaml waits for %v, not %v", awaited, all)
	}
}
