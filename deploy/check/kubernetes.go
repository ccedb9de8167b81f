package check

import (
	"context"
	"path"
	"path/filepath"
	"reflect"
	"slices"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const manifests = "deploy/kubernetes"

// kinds are those that the manifests may have, with the types of their API.
var kinds = map[string]func() any{
	"v1/ConfigMap":                            func() any { return new(core.ConfigMap) },
	"v1/Service":                              func() any { return new(core.Service) },
	"v1/ServiceAccount":                       func() any { return new(core.ServiceAccount) },
	"apps/v1/Deployment":                      func() any { return new(apps.Deployment) },
	"autoscaling/v2/HorizontalPodAutoscaler":  func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return new(monitoring.ServiceMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return new(monitoring.PrometheusRule) },
	"networking.k8s.io/v1/Ingress":            func() any { return new(networking.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return new(networking.NetworkPolicy) },
	"policy/v1/PodDisruptionBudget":           func() any { return new(policy.PodDisruptionBudget) },
}

// Kubernetes builds each overlay, decodes everything in it strictly as the type that it says it is, and follows the names from one
// object to the next.
func Kubernetes(_ context.Context, root string) []error {
	var f findings
	variables := f.variables(root)
	f.source = f.read(root, monitoringFolder+"/alerts.yaml")
	for _, overlay := range []string{"staging", "production"} {
		where := path.Join(manifests, overlay)
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, where))
		if err != nil {
			f.add(where, "%w", err)
			continue
		}
		f.campus(where, f.decode(where, built), variables)
	}
	return f.errs
}

func (f *findings) decode(where string, built resmap.ResMap) []any {
	var objects []any
	for _, r := range built.Resources() {
		name := r.GetApiVersion() + "/" + r.GetKind()
		make, ok := kinds[name]
		if !ok {
			f.add(where, "has a %s, which is not known here", name)
			continue
		}
		text, err := r.MarshalJSON()
		if err != nil {
			f.add(where, "%s %s: %w", r.GetKind(), r.GetName(), err)
			continue
		}
		object := make()
		strict, err := json.UnmarshalStrict(text, object)
		if err != nil {
			strict = append(strict, err)
		}
		for _, err := range strict {
			f.add(where, "%s %s: %w", r.GetKind(), r.GetName(), err)
		}
		objects = append(objects, object)
	}
	return objects
}

// campus follows names: ports to the container that has them, selectors to labels, variables to the program, volumes to mounts.
func (f *findings) campus(where string, objects []any, variables []string) {
	deployment := one[*apps.Deployment](objects)
	if deployment == nil || len(deployment.Spec.Template.Spec.Containers) != 1 {
		f.add(where, "does not have one deployment of one container")
		return
	}
	pod := deployment.Spec.Template
	c := pod.Spec.Containers[0]
	has := func(p intstr.IntOrString) bool {
		return slices.ContainsFunc(c.Ports, func(have core.ContainerPort) bool {
			return p.Type == intstr.String && have.Name == p.StrVal || p.Type == intstr.Int && have.ContainerPort == p.IntVal
		})
	}
	selects := func(what string, selector map[string]string) {
		if len(selector) == 0 {
			f.add(where, "%s selects everything or nothing", what)
		}
		for k, v := range selector {
			if pod.Labels[k] != v {
				f.add(where, "%s selects %s=%s, and the pods have %q", what, k, v, pod.Labels[k])
			}
		}
	}
	selects("the deployment", deployment.Spec.Selector.MatchLabels)
	services := map[string]*core.Service{}
	for _, o := range objects {
		switch o := o.(type) {
		case *core.Service:
			services[o.Name] = o
			selects("service "+o.Name, o.Spec.Selector)
			for _, p := range o.Spec.Ports {
				if !has(p.TargetPort) {
					f.add(where, "service %s leads to the port %s, which the container does not have", o.Name, p.TargetPort.String())
				}
			}
		case *core.ConfigMap:
			for name := range o.Data {
				f.known(where, name, variables)
			}
		case *policy.PodDisruptionBudget:
			if o.Spec.Selector == nil {
				f.add(where, "the disruption budget selects nothing")
				continue
			}
			selects("the disruption budget", o.Spec.Selector.MatchLabels)
		case *autoscaling.HorizontalPodAutoscaler:
			if o.Spec.ScaleTargetRef.Kind != "Deployment" || o.Spec.ScaleTargetRef.Name != deployment.Name {
				f.add(where, "the autoscaler scales %s %s", o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name)
			}
		case *networking.NetworkPolicy:
			selects("the network policy", o.Spec.PodSelector.MatchLabels)
			for _, rule := range o.Spec.Ingress {
				for _, p := range rule.Ports {
					if p.Port != nil && !has(*p.Port) {
						f.add(where, "the network policy opens the port %s, which the container does not have", p.Port.String())
					}
				}
			}
		}
	}
	f.alerts(where, one[*monitoring.PrometheusRule](objects))
	f.container(where, pod.Spec, c, has, variables)
	f.led(where, objects, services)
}

// alerts holds the operator's rules to the file that Prometheus reads without one.
func (f *findings) alerts(where string, rule *monitoring.PrometheusRule) {
	if rule == nil {
		f.add(where, "has no alerts")
		return
	}
	var want monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(f.source, &want); err != nil {
		f.add(monitoringFolder+"/alerts.yaml", "%w", err)
	}
	if !reflect.DeepEqual(rule.Spec, want) {
		f.add(where, "PrometheusRule %s is not what %s/alerts.yaml says; type: go test -run PrometheusRule -update", rule.Name, monitoringFolder)
	}
}

// container is what runs: as nobody, asked how it is, with time to end.
func (f *findings) container(where string, pod core.PodSpec, c core.Container, has func(intstr.IntOrString) bool, variables []string) {
	for _, v := range c.Env {
		f.known(where, v.Name, variables)
	}
	for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		switch {
		case probe == nil || probe.HTTPGet == nil || !has(probe.HTTPGet.Port):
			f.add(where, "the %s probe asks no port of the container", name)
		case probe.HTTPGet.Path != map[bool]string{true: "/readyz", false: "/healthz"}[name == "readiness"]:
			f.add(where, "the %s probe asks %s", name, probe.HTTPGet.Path)
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == m.Name }) {
			f.add(where, "mounts %s, which is no volume", m.Name)
		}
	}
	s := c.SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
		f.add(where, "the container may write its root, or has privileges")
	}
	if pod.TerminationGracePeriodSeconds == nil || *pod.TerminationGracePeriodSeconds < 60 || c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		f.add(where, "an ending node has less than 60 s, or no preStop")
	}
}

// led sees that whoever names a service names one that is there.
func (f *findings) led(where string, objects []any, services map[string]*core.Service) {
	if ingress := one[*networking.Ingress](objects); ingress != nil {
		for _, rule := range ingress.Spec.Rules {
			for _, p := range rule.HTTP.Paths {
				if s := services[p.Backend.Service.Name]; s == nil || !slices.ContainsFunc(s.Spec.Ports, func(have core.ServicePort) bool { return have.Name == p.Backend.Service.Port.Name }) {
					f.add(where, "the ingress leads %s to %s:%s, which is not there", p.Path, p.Backend.Service.Name, p.Backend.Service.Port.Name)
				}
			}
		}
	}
	if services["nexus-gossip"] == nil || services["nexus-gossip"].Spec.ClusterIP != core.ClusterIPNone {
		f.add(where, "has no headless service for the seeds")
	}
}

// one is the first object of a type, or nil.
func one[T any](objects []any) (found T) {
	for _, o := range objects {
		if o, ok := o.(T); ok {
			return o
		}
	}
	return found
}
