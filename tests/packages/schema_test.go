package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart/loader"
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
	if err != nil {
		t.Fatal(err)
	}
	var resources []any
	for _, sample := range samples {
		resource := decode(t, read(t, sample))
		if err := schemaOf(t, resource).Validate(resource); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
		resources = append(resources, resource)
	}
	if found, wanted := declared(resources), destinationsOf(t); !slices.Equal(found, wanted) {
		t.Errorf("there are samples for %v, not %v", found, wanted)
	}
	const pinpoint, sms = "kinesis.yaml", "sms-logs.yaml"
	for _, c := range []struct{ name, sample, from, to, word string }{
		{"a field that does not exist", pinpoint, "roleName:", "rolename:", "rolename"},
		{"one of the destination", pinpoint, "kinesisStreamArn:", "kinesisStream:", "kinesisStream"},
		{"one of the other kind's destination", pinpoint, "kinesisStreamArn:", "logGroupArn:", "logGroupArn"},
		{"one beside the spec", pinpoint, "spec:\n", "annotations: {}\nspec:\n", "annotations"},
		{"no destination", pinpoint, "destination:\n    kinesisStreamArn:", "description:", "destination"},
		{"a number for a name", pinpoint, "roleName: PinpointEventStreamRole", "roleName: 1", "roleName"},
		{"a choice that does not exist", pinpoint, "roleName: PinpointEventStreamRole", "driftPolicy: Repair", "driftPolicy"},
		{"too short a session", pinpoint, "roleName: PinpointEventStreamRole", "maxSessionDurationSeconds: 60", "maxSessionDurationSeconds"},
		{"no source", sms, "source:\n    endUserMessagingSms:\n      configurationSetName:", "description:", "source"},
		{"a service that does not exist", sms, "endUserMessagingSms:", "sms:", "sms"},
		{"a service without its name", sms, "endUserMessagingSms:\n      configurationSetName: alerts", "endUserMessagingSms: {}", "configurationSetName"},
		{"the other kind's source", sms, "endUserMessagingSms:\n      configurationSetName:", "applicationId:", "applicationId"},
		{"a destination that does not exist", sms, "logGroupArn:", "logGroup:", "logGroup"},
	} {
		sample := read(t, "../../deploy/samples/"+c.sample)
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

func TestArtifactHubIsToldWhatTheChartHas(t *testing.T) {
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	told := func(name string) any { return decode(t, loaded.Metadata.Annotations["artifacthub.io/"+name]) }

	wanted := definitions(t)
	for _, crd := range told("crds").([]any) {
		plural, _, _ := strings.Cut(at(crd, "name").(string), ".")
		definition := wanted[plural]
		for field, path := range map[string]string{"kind": "spec/names/kind", "version": "spec/versions/0/name", "name": "metadata/name"} {
			if found, value := at(crd, field), at(definition, path); found != value {
				t.Errorf("crds: %s: %v, not %v", field, found, value)
			}
		}
		delete(wanted, plural)
	}
	if len(wanted) > 0 {
		t.Errorf("crds: without %v", wanted)
	}
	examples := told("crdsExamples").([]any)
	for _, example := range examples {
		if err := schemaOf(t, example).Validate(example); err != nil {
			t.Errorf("crdsExamples: %v", err)
		}
	}
	if found, wanted := declared(examples), destinationsOf(t); !slices.Equal(found, wanted) {
		t.Errorf("crdsExamples: for %v, not %v", found, wanted)
	}
	image := at(object(t, chartWith(t, values{}), "Deployment"), "spec/template/spec/containers/0/image")
	if found := at(told("images"), "0/image"); found != image {
		t.Errorf("images: %v, not %v", found, image)
	}
	kinds := map[any]bool{"added": true, "changed": true, "deprecated": true, "removed": true, "fixed": true, "security": true}
	changes := told("changes").([]any)
	for _, change := range changes {
		if !kinds[at(change, "kind")] || at(change, "description") == nil {
			t.Errorf("changes: %v", change)
		}
	}
	if len(changes) == 0 {
		t.Error("changes: none")
	}
	for _, link := range told("links").([]any) {
		address, _ := at(link, "url").(string)
		_, path, in := strings.Cut(address, "/blob/main/")
		if _, err := os.Stat("../../" + path); !in || err != nil {
			t.Errorf("links: %v: %v", link, err)
		}
	}
	if license := told("license"); license != "Apache-2.0" || !strings.Contains(read(t, "../../LICENSE"), "Apache License") {
		t.Errorf("license: %v", license)
	}
}
