package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// Target is a server's node, as its URL names it.
type Target struct {
	URL  string
	Addr netip.AddrPort
	Host string // as it was written
}

// Resolve finds where a URL points to. What is not this machine is refused unless remote is true: a load is for one's own server.
func Resolve(ctx context.Context, text string, remote bool) (Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return Target{}, fmt.Errorf("%q is no URL such as http://127.0.0.1:4000; there is no TLS here", text)
	}
	port := uint64(80)
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil || port == 0 {
			return Target{}, fmt.Errorf("%q has no port that can be connected to", text)
		}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return Target{}, err
	}
	if len(ips) == 0 {
		return Target{}, fmt.Errorf("%s has no address", u.Hostname())
	}
	ip := ips[0].Unmap()
	for _, other := range ips { // localhost may be both, and most servers listen on this one
		if ip.Is6() && other.Unmap().Is4() {
			ip = other.Unmap()
		}
	}
	if !ip.IsLoopback() && !remote {
		return Target{}, errors.New(text + " is not on this machine; to load it all the same, with its owner's leave, say --allow-remote")
	}
	return Target{URL: u.Scheme + "://" + u.Host, Addr: netip.AddrPortFrom(ip, uint16(port)), Host: u.Host}, nil
}
