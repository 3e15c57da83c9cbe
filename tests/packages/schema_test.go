package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFolder = "../../crds/streamrole.dev"

// schemaOf gives the JSON schema that kubeconform would take for this resource, as it would compile it.
func schemaOf(t *testing.T, resource any) *jsonschema.Schema {
	t.Helper()
	kind, _ := at(resource, "kind").(string)
	_, version, _ := strings.Cut(at(resource, "apiVersion").(string), "/")
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(filepath.Join(schemaFolder, strings.ToLower(kind)+"_"+version+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheJSONSchemaTakesTheSamplesAndNoMistakes(t *testing.T) {
	samples, err := filepath.Glob("../../deploy/samples/*.yaml")
	if err != nil || len(samples) < 2 {
		t.Fatalf("%v: %v", samples, err)
	}
	for _, sample := range samples {
		resource := decode(t, read(t, sample))
		if err := schemaOf(t, resource).Validate(resource); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
	}
	for _, c := range []struct{ name, from, to, word string }{
		{"a field that does not exist", "roleName:", "rolename:", "rolename"},
		{"one of the destination", "kinesisStreamArn:", "kinesisStream:", "kinesisStream"},
		{"one beside the spec", "spec:\n", "annotations: {}\nspec:\n", "annotations"},
		{"no destination", "destination:\n    kinesisStreamArn:", "description:", "destination"},
		{"a number for a name", "roleName: PinpointEventStreamRole", "roleName: 1", "roleName"},
		{"a choice that does not exist", "roleName: PinpointEventStreamRole", "driftPolicy: Repair", "driftPolicy"},
		{"too short a session", "roleName: PinpointEventStreamRole", "maxSessionDurationSeconds: 60", "maxSessionDurationSeconds"},
	} {
		sample := read(t, "../../deploy/samples/kinesis.yaml")
		wrong := strings.Replace(sample, c.from, c.to, 1)
		if wrong == sample {
			t.Fatalf("%s: %q is not in the sample", c.name, c.from)
		}
		resource := decode(t, wrong)
		err := schemaOf(t, resource).Validate(resource)
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
