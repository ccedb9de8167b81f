package check

import (
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

var placeholder = regexp.MustCompile(`\$\{([A-Z_]+)\}`)

// ECS reads the inputs of AWS's command line as the types of its API: every key and every value of an enumeration must be there. Every
// placeholder must be explained, and every variable known to the program.
func ECS(_ context.Context, root string) []error {
	var f findings
	readme, variables := string(f.read(root, "deploy/ecs/README.md")), f.variables(root)
	task := new(ecs.RegisterTaskDefinitionInput)
	for _, c := range []struct {
		file  string
		into  any
		upper bool // keys begin with a capital
	}{
		{"task-definition.json", task, false}, {"service.json", new(ecs.CreateServiceInput), false}, {"target-group.json", new(elasticloadbalancingv2.CreateTargetGroupInput), true},
	} {
		name := "deploy/ecs/" + c.file
		text := f.read(root, name)
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			f.add(name, "%w", err)
			continue
		}
		f.shape(name, "", tree, reflect.TypeOf(c.into).Elem(), c.upper)
		if err := json.Unmarshal(text, c.into); err != nil {
			f.add(name, "%w", err)
		}
		for _, m := range placeholder.FindAllSubmatch(text, -1) {
			if v := string(m[1]); !strings.Contains(readme, v) && !slices.Contains(madeAtOnce, v) {
				f.add(name, "wants %s, which deploy/ecs/README.md does not explain", v)
			}
		}
	}
	for _, c := range task.ContainerDefinitions {
		for _, v := range c.Environment {
			f.known("deploy/ecs/task-definition.json", *v.Name, variables)
		}
		for _, v := range c.Secrets {
			f.known("deploy/ecs/task-definition.json", *v.Name, variables)
		}
		f.ports(c)
	}
	return f.errs
}

// madeAtOnce are filled in by the scripts, or when the thing is first made.
var madeAtOnce = []string{"NEXUS_IMAGE", "NEXUS_TASK_DEFINITION", "NEXUS_TARGET_GROUP_NAME", "NEXUS_VPC", "NEXUS_SUBNET_A", "NEXUS_SUBNET_B", "NEXUS_SECURITY_GROUP", "NEXUS_REGISTRY"}

func (f *findings) ports(c ecstypes.ContainerDefinition) {
	var ports []int32
	for _, p := range c.PortMappings {
		ports = append(ports, *p.ContainerPort)
	}
	for _, want := range []int32{4000, 7946, 7947} {
		if !slices.Contains(ports, want) {
			f.add("deploy/ecs/task-definition.json", "does not open %d", want)
		}
	}
}

// shape holds a JSON value to the type that it is for, by exact names, which AWS's command line insists on.
func (f *findings) shape(file, at string, v any, t reflect.Type, upper bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			switch t.Kind() {
			case reflect.Map:
				f.shape(file, at+"."+key, inner, t.Elem(), upper)
			case reflect.Struct:
				name := key
				if !upper && key != "" {
					name = strings.ToUpper(key[:1]) + key[1:]
				}
				field, ok := t.FieldByName(name)
				if !ok || upper != (key[:1] == strings.ToUpper(key[:1])) {
					f.add(file, "%s has no %q", t.Name(), strings.TrimPrefix(at+"."+key, "."))
					continue
				}
				f.shape(file, at+"."+key, inner, field.Type, upper)
			default:
				f.add(file, "%s is no object", at)
			}
		}
	case []any:
		if t.Kind() != reflect.Slice {
			f.add(file, "%s is no list", at)
			return
		}
		for _, inner := range v {
			f.shape(file, at, inner, t.Elem(), upper)
		}
	case string:
		if m := reflect.New(t).MethodByName("Values"); m.IsValid() {
			values := m.Call(nil)[0]
			for i := range values.Len() {
				if values.Index(i).String() == v {
					return
				}
			}
			f.add(file, "%s is %q, want one of %v", strings.TrimPrefix(at, "."), v, values.Interface())
		}
	}
}
