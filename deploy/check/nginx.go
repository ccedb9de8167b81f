package check

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const nginxFile = "deploy/nginx/nexus.conf"

var comment = regexp.MustCompile(`(?m)#.*$`)

var upstream = regexp.MustCompile(`(?m)^(\s*server )(\w+):(\d+)`)

// Nginx has nginx itself read the proxy's configuration, and holds it to what NEXUS needs of a proxy.
func Nginx(ctx context.Context, root string) []error {
	var f findings
	text := string(f.read(root, nginxFile))
	project := f.project(ctx, root)
	if project == nil || text == "" {
		return f.errs
	}
	for _, m := range upstream.FindAllStringSubmatch(text, -1) {
		if _, ok := project.Services[m[2]]; !ok || m[3] != "4000" {
			f.add(nginxFile, "sends requests to %s:%s, which %s does not have", m[2], m[3], composeFile)
		}
	}
	for _, must := range []string{
		"proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection $connection_upgrade;", "proxy_set_header X-Forwarded-For $remote_addr;",
		"proxy_next_upstream error timeout;", "proxy_http_version 1.1;",
	} {
		if !strings.Contains(text, must) {
			f.add(nginxFile, "does not say %q", must)
		}
	}
	for _, never := range []string{"non_idempotent", "ip_hash", "sticky"} {
		if strings.Contains(comment.ReplaceAllString(text, ""), never) {
			f.add(nginxFile, "says %s", never)
		}
	}
	dir, err := os.MkdirTemp("", "nginx")
	if err != nil {
		f.add(nginxFile, "%w", err)
		return f.errs
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if out, err := exec.CommandContext(ctx, filepath.Join(root, "deploy/compose/secrets.sh"), dir).CombinedOutput(); err != nil {
		f.add(nginxFile, "%w: %s", err, out)
	}
	local := upstream.ReplaceAllString(text, "${1}127.0.0.1:$3")
	config, err := localNginx(local, dir)
	if err != nil {
		f.add(nginxFile, "%w", err)
		return f.errs
	}
	out, err := exec.CommandContext(ctx, nginxBinary(), "-t", "-p", dir, "-c", config).CombinedOutput()
	if err != nil {
		f.add(nginxFile, "%w: %s", err, strings.ReplaceAll(string(out), config, nginxFile))
	}
	return f.errs
}

// localNginx writes a configuration whose files are all in dir, with the secrets that secrets.sh has made there, and returns its path.
func localNginx(text, dir string) (string, error) {
	places := []string{
		"/run/secrets/tls_cert", filepath.Join(dir, "tls.crt"), "/run/secrets/tls_key", filepath.Join(dir, "tls.key"),
		" /tmp/", " " + dir + "/", "/dev/stderr", filepath.Join(dir, "error.log"), "/dev/stdout", filepath.Join(dir, "access.log"),
	}
	for i := 0; i < len(places); i += 2 {
		if !strings.Contains(text, places[i]) {
			return "", fmt.Errorf("does not name %s", places[i])
		}
	}
	text = strings.NewReplacer(places...).Replace(text)
	path := filepath.Join(dir, "nginx.conf")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// nginxBinary is found also where the path of a plain user does not lead.
func nginxBinary() string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	return "/usr/sbin/nginx"
}
