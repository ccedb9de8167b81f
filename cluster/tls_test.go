package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"nexus/actors/grain"
)

// authority signs the certificates of nodes.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "campus"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// sign makes a certificate; the authority's own if it has none.
func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

// network is that of a node which this authority has signed, and which trusts those that trusted has signed.
func (a *authority) network(trusted *authority) TCP {
	c, key := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	pool := x509.NewCertPool()
	pool.AddCert(trusted.cert)
	return TCP{TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: key}},
		RootCAs:      pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}}
}

func TestNodesProveToEachOtherWhoTheyAre(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	home := open(t, ours.network(ours), "127.0.0.1:0")
	defer home.shut()
	pid := home.echo()
	nobody := ours.network(ours)
	nobody.TLS = nobody.TLS.Clone()
	nobody.TLS.Certificates = nil
	for name, c := range map[string]struct {
		network Network
		refused bool
	}{
		"one of us":                   {ours.network(ours), false},
		"plain":                       {TCP{}, true},
		"signed by others":            {theirs.network(ours), true},
		"trusts others":               {ours.network(theirs), true},
		"shows no certificate":        {nobody, true},
		"signed by, and trusts, them": {theirs.network(theirs), true},
	} {
		t.Run(name, func(t *testing.T) {
			listen := c.network
			if name == "shows no certificate" { // it must show one to listen
				listen = outgoing{Network: ours.network(ours), out: c.network}
			}
			s := open(t, listen, "127.0.0.1:0")
			defer s.shut()
			err := s.ask(pid, "hello")
			if c.refused && !errors.Is(err, grain.ErrGone) {
				t.Errorf("got %v, want a refusal", err)
			}
			if !c.refused && err != nil {
				t.Error(err)
			}
			if c.refused { // nor does one of us reach it
				if err := home.ask(s.echo(), "hello"); name != "shows no certificate" && !errors.Is(err, grain.ErrGone) {
					t.Errorf("called from home: %v", err)
				}
			}
		})
	}
	home.mustAsk(pid)
}

// outgoing makes connections in another way than it takes them.
type outgoing struct {
	Network
	out Network
}

// Dial implements Network.
func (o outgoing) Dial(ctx context.Context, address string) (net.Conn, error) {
	return o.out.Dial(ctx, address)
}
