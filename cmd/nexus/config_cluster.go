package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"

	"nexus/cluster"
)

// checkCluster turns the cluster's variables into what the cluster takes.
func (c *Config) checkCluster() error {
	host, portText, err := net.SplitHostPort(c.ClusterBind)
	if err != nil {
		return wrong("NEXUS_CLUSTER_BIND", "takes host:port, such as 10.0.0.7:7946; %v", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65534 {
		return wrong("NEXUS_CLUSTER_BIND", "takes a port from 0 to 65534, not %q", portText)
	}
	next := 0
	if port > 0 {
		next = port + 1
	}
	if c.ClusterAdvertise == "private" {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return wrong("NEXUS_CLUSTER_ADVERTISE", "cannot find the address: %v", err)
		}
		if c.ClusterAdvertise, err = privateAddress(addrs); err != nil {
			return err
		}
	}
	c.gossip = cluster.Gossip{Bind: net.JoinHostPort(host, portText), Advertise: c.ClusterAdvertise}
	c.links = cluster.Links{Bind: net.JoinHostPort(host, strconv.Itoa(next)), Advertise: c.ClusterAdvertise}
	if ip := net.ParseIP(host); c.ClusterAdvertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return wrong("NEXUS_CLUSTER_ADVERTISE", "is needed when NEXUS_CLUSTER_BIND is every address: others must know which to call")
	}
	if c.ClusterAdvertise != "" && net.ParseIP(c.ClusterAdvertise) == nil {
		return wrong("NEXUS_CLUSTER_ADVERTISE", "takes an IP address or private, not %q", c.ClusterAdvertise)
	}
	for _, s := range c.ClusterSeeds {
		s = strings.TrimSpace(s)
		if _, _, err := net.SplitHostPort(s); err != nil {
			return wrong("NEXUS_CLUSTER_SEEDS", "takes host:port separated by commas, not %q", s)
		}
		c.gossip.Seeds = append(c.gossip.Seeds, s)
	}
	if c.ClusterKey != "" {
		c.gossip.Key, err = hex.DecodeString(c.ClusterKey)
		if n := len(c.gossip.Key); err != nil || n != 16 && n != 24 && n != 32 {
			return wrong("NEXUS_CLUSTER_KEY", "takes 16, 24 or 32 bytes in hex; make one with: openssl rand -hex 32")
		}
	}
	if c.Env == production && len(c.gossip.Seeds) > 0 && c.ClusterKey == "" {
		return wrong("NEXUS_CLUSTER_KEY", "is needed in production when there are seeds: whoever can gossip can join")
	}
	return c.checkClusterTLS()
}

// privateAddress picks the address of a machine that has one: containers learn theirs as late as they start. With several nobody
// should guess.
func privateAddress(addrs []net.Addr) (string, error) {
	var found []string
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsPrivate() {
			found = append(found, n.IP.String())
		}
	}
	if len(found) != 1 {
		return "", wrong("NEXUS_CLUSTER_ADVERTISE", "takes private where there is one private IPv4 address, and here are %d: %v", len(found), found)
	}
	return found[0], nil
}

// checkClusterTLS loads the certificates with which nodes prove to each other who they are.
func (c *Config) checkClusterTLS() error {
	switch {
	case c.ClusterTLSCert == "" && c.ClusterTLSKey == "" && c.ClusterTLSCA == "":
		return nil
	case c.ClusterTLSCert == "" || c.ClusterTLSKey == "" || c.ClusterTLSCA == "":
		return wrong("NEXUS_CLUSTER_TLS_CERT", "goes with NEXUS_CLUSTER_TLS_KEY and NEXUS_CLUSTER_TLS_CA; set all three or none")
	}
	pair, err := tls.LoadX509KeyPair(c.ClusterTLSCert, c.ClusterTLSKey)
	if err != nil {
		return wrong("NEXUS_CLUSTER_TLS_CERT", "%v", err)
	}
	pem, err := os.ReadFile(c.ClusterTLSCA)
	if err != nil {
		return wrong("NEXUS_CLUSTER_TLS_CA", "%v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return wrong("NEXUS_CLUSTER_TLS_CA", "holds no certificate in PEM")
	}
	c.links.Network = cluster.TCP{TLS: &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}}
	return nil
}
