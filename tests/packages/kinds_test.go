package main

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// definitions gives the CustomResourceDefinitions of the repository, by plural.
func definitions(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob("../../crds/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v: %v", files, err)
	}
	all := map[string]any{}
	for _, file := range files {
		definition := decode(t, read(t, file))
		all[at(definition, "spec/names/plural").(string)] = definition
	}
	return all
}

func plurals(t *testing.T) []any {
	t.Helper()
	var all []any
	for plural := range definitions(t) {
		all = append(all, plural)
	}
	return sorted(all)
}

// sorted orders strings that were decoded.
func sorted(list any) []any {
	all := slices.Clone(list.([]any))
	slices.SortFunc(all, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return all
}

// fieldsOf gives the fields that the kind has at this path, as in spec/destination, with their schemas.
func fieldsOf(definition any, path string) map[string]any {
	steps := strings.ReplaceAll(path, "/", "/properties/")
	return at(definition, "spec/versions/0/schema/openAPIV3Schema/properties/"+steps+"/properties").(map[string]any)
}

// destinationsOf gives each kind with each kind of destination, as in EventStreamRole/snsTopicArn.
func destinationsOf(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, definition := range definitions(t) {
		for field := range fieldsOf(definition, "spec/destination") {
			if field != "kmsKeyArn" {
				all = append(all, at(definition, "spec/names/kind").(string)+"/"+field)
			}
		}
	}
	slices.Sort(all)
	return all
}

// declared gives the destinations of these resources, in the form of destinationsOf.
func declared(resources []any) []string {
	var all []string
	for _, resource := range resources {
		for field := range at(resource, "spec/destination").(map[string]any) {
			all = append(all, at(resource, "kind").(string)+"/"+field)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func objects(t *testing.T, text, kind string) []any {
	t.Helper()
	var all []any
	for _, document := range regexp.MustCompile(`(?m)^---\n`).Split(text, -1) {
		if decoded := decode(t, document); at(decoded, "kind") == kind {
			all = append(all, decoded)
		}
	}
	return all
}

// bothPackages gives each package form as rendered by default.
func bothPackages(t *testing.T) map[string]string {
	t.Helper()
	base, err := kustomize(kustomizeFolder + "/base")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"helm": chartWith(t, values{}), "kustomize": base}
}

func TestBothPackageFormsInstallEachDefinition(t *testing.T) {
	for name, rendered := range bothPackages(t) {
		wanted := definitions(t)
		for _, found := range objects(t, rendered, "CustomResourceDefinition") {
			plural := at(found, "spec/names/plural").(string)
			if !reflect.DeepEqual(at(found, "spec"), at(wanted[plural], "spec")) {
				t.Errorf("%s: %s is not the one in crds/", name, plural)
			}
			delete(wanted, plural)
		}
		if len(wanted) > 0 {
			t.Errorf("%s does not install %v", name, wanted)
		}
	}
	if found := objects(t, chartWith(t, values{"crds": values{"install": false}}), "CustomResourceDefinition"); len(found) > 0 {
		t.Errorf("crds.install: false, and there are %d", len(found))
	}
}

func TestReadersAndAuthorsHaveTheirVerbsOnEachKind(t *testing.T) {
	read := []any{"get", "list", "watch"}
	write := []any{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	for name, rendered := range bothPackages(t) {
		for role, verbs := range map[string][]any{"streamrole-view": read, "streamrole-edit": write} {
			roles := objects(t, rendered, "ClusterRole")
			of := slices.IndexFunc(roles, func(found any) bool { return at(found, "metadata/name") == role })
			if of < 0 {
				t.Fatalf("%s has no %s", name, role)
			}
			rules := at(roles[of], "rules").([]any)
			if found := sorted(at(rules[0], "resources")); len(rules) != 1 || !reflect.DeepEqual(found, plurals(t)) {
				t.Errorf("%s: %s is for %v", name, role, rules)
			}
			if found := sorted(at(rules[0], "verbs")); !reflect.DeepEqual(found, verbs) {
				t.Errorf("%s: %s has %v", name, role, found)
			}
		}
	}
}

func TestTheNotesDeclareAResourceThatTheSchemaTakes(t *testing.T) {
	loaded, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	files, err := renderFiles(loaded, values{})
	if err != nil {
		t.Fatal(err)
	}
	notes := files["streamrole/templates/NOTES.txt"]
	_, rest, _ := strings.Cut(notes, "<<EOF\n")
	manifest, rest, ended := strings.Cut(rest, "  EOF\n")
	if !ended {
		t.Fatalf("no manifest in:\n%s", notes)
	}
	resource := decode(t, manifest)
	if err := schemaOf(t, resource).Validate(resource); err != nil {
		t.Error(err)
	}
	names := definitions(t)[strings.ToLower(at(resource, "kind").(string))+"s"]
	waits := "condition=Ready " + at(names, "spec/names/shortNames/0").(string) + "/" + at(resource, "metadata/name").(string) + "\n"
	if !strings.Contains(rest, waits) {
		t.Errorf("%q is not in:\n%s", waits, rest)
	}
}

func TestEachAdmissionPolicyIsForEachKind(t *testing.T) {
	files, err := filepath.Glob("../../deploy/policies/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		wanted := plurals(t)
		// The source of an EventStreamRole is required.
		if filepath.Base(file) == "source-warning.yaml" {
			wanted = []any{"pinpointeventstreamroles"}
		}
		for _, policy := range objects(t, read(t, file), "ValidatingAdmissionPolicy") {
			seen++
			rules := at(policy, "spec/matchConstraints/resourceRules").([]any)
			if found := sorted(at(rules[0], "resources")); len(rules) != 1 || !reflect.DeepEqual(found, wanted) {
				t.Errorf("%s is for %v, not %v", file, rules, wanted)
			}
		}
	}
	if seen < 9 {
		t.Errorf("%d policies", seen)
	}
}

// The policies repeat some facts of the schema, because a policy cannot read it.

func TestTheBoundaryPolicyKnowsThePartitionsOfTheSchema(t *testing.T) {
	partitions := regexp.MustCompile(`\^arn:\(([a-z|-]+)\):iam::`)
	policy := partitions.FindStringSubmatch(read(t, "../../deploy/policies/permissions-boundary.yaml"))
	for plural, definition := range definitions(t) {
		rule, _ := at(fieldsOf(definition, "spec")["permissionsBoundaryArn"], "x-kubernetes-validations/0/rule").(string)
		schema := partitions.FindStringSubmatch(rule)
		if policy == nil || schema == nil || policy[1] != schema[1] {
			t.Errorf("%s: the policy knows %q, the schema %q", plural, policy, schema)
		}
	}
}

func TestTheSourcePolicyKnowsTheServicesWithoutConditions(t *testing.T) {
	var wanted []any
	for service, schema := range fieldsOf(definitions(t)["eventstreamroles"], "spec/source") {
		if description, _ := at(schema, "description").(string); strings.Contains(description, "no confused-deputy conditions") {
			wanted = append(wanted, service)
		}
	}
	policy := objects(t, read(t, "../../deploy/policies/source.yaml"), "ValidatingAdmissionPolicy")[0]
	for _, variable := range at(policy, "spec/variables").([]any) {
		if at(variable, "name") != "unconditional" {
			continue
		}
		// A CEL list of strings is also one of YAML.
		found := decode(t, at(variable, "expression").(string))
		if !reflect.DeepEqual(sorted(found), sorted(wanted)) {
			t.Errorf("the policy knows %v, the schema %v", found, wanted)
		}
		return
	}
	t.Error("the policy has no variable unconditional")
}

func TestTheAccountsPolicyKnowsTheDestinationsOfTheSchema(t *testing.T) {
	policy := objects(t, read(t, "../../deploy/policies/destination-accounts.yaml"), "ValidatingAdmissionPolicy")[0]
	var known []string
	for _, variable := range at(policy, "spec/variables").([]any) {
		if at(variable, "name") == "field" {
			for _, found := range regexp.MustCompile(`'(\w+)'`).FindAllStringSubmatch(at(variable, "expression").(string), -1) {
				known = append(known, "EventStreamRole/"+found[1])
			}
		}
	}
	slices.Sort(known)
	wanted := slices.DeleteFunc(destinationsOf(t), func(of string) bool { return !strings.HasPrefix(of, "EventStreamRole/") })
	if !slices.Equal(known, wanted) {
		t.Errorf("the policy knows %v, the schema %v", known, wanted)
	}
}
