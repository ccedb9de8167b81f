package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/ai"
	"nexus/actors/ai/budget"
	"nexus/actors/ai/digest"
	"nexus/actors/mess"
	"nexus/persistence/jobs"
	"nexus/persistence/pg"
	"nexus/transport/letter"
	"nexus/transport/smtp"
)

// assistant is what helps and never holds anything up: it has connections of its own to the database.
type assistant struct {
	db       *pg.DB
	queue    *jobs.Queue
	mail     *pg.Mail // for jobs
	comments *pg.Comments
	pool     *ai.Pool // nil without a model
	budget   budget.Client
	models   []string
	summary  *ai.Summarizer
}

// jobOptions are the bounds of jobs' ways to the database. One connection listens for new jobs.
func jobOptions() pg.Options { return pg.Options{MaxConns: 6, ApplicationName: "nexus jobs"} }

// openJobStore opens the jobs' own way to the database at url.
func (n *node) openJobStore(ctx context.Context, url string) (err error) {
	if n.assistant.db, err = pg.Open(ctx, url, jobOptions()); err != nil {
		return fmt.Errorf("open the database for jobs: %w", err)
	}
	n.onClose("database for jobs", func(context.Context) error { n.assistant.db.Close(); return nil })
	if n.assistant.queue, err = jobs.NewQueue(n.assistant.db.Pool()); err != nil {
		return err
	}
	n.assistant.mail, n.assistant.comments = pg.NewMail(n.assistant.db, n.assistant.queue), pg.NewComments(n.assistant.db)
	return nil
}

// limits are those of a model.
func (c *Config) limits(model string) (budget.Limits, bool) {
	m, known := c.models[model]
	return m.limits, known
}

// openAssistant begins to do jobs, with a model's help if there is one.
func (n *node) openAssistant(ctx context.Context) error {
	a := &n.assistant
	a.budget, a.models = budget.NewClient(n.cluster), slices.Sorted(maps.Keys(n.cfg.models))
	a.summary = &ai.Summarizer{Mails: a.mail, Digest: digest.Local{}, Model: n.cfg.GeminiFlash, News: publisher{n.cluster, n.log}.News, Log: n.log}
	if len(a.models) > 0 {
		if err := n.openPool(ctx); err != nil {
			return err
		}
		a.summary.Pool = a.pool
	}
	crowds := &ai.Forecaster{Crowds: pg.NewForecasts(a.db), Publish: n.publishForecast, Model: n.cfg.GeminiFlash, Log: n.log}
	rounds := map[string]jobs.Round{
		"forecasts": {Every: 15 * time.Minute, Do: crowds.MakeAll}, // each time that another quarter of an hour is known
		"surprises": {Every: 2 * time.Minute, Do: crowds.LookAll},
	}
	if a.pool != nil {
		patient := ai.Sparing{Asker: a.pool, Budget: a.budget}
		crowds.Pool = patient
		critic := &ai.Critic{Comments: a.comments, Suspicious: suspicious, Pool: patient, Model: n.cfg.GeminiFlash, Log: n.log}
		rounds["advice"] = jobs.Round{Every: 15 * time.Minute, Late: true, Do: crowds.AdviseAll}
		rounds["comments"] = jobs.Round{Every: 10 * time.Minute, Late: true, Do: critic.Round}
	}
	runner, err := jobs.Start(ctx, a.db.Pool(), jobs.Makers{Summaries: a.summary, Rounds: rounds}, n.log)
	if err != nil {
		return err
	}
	n.onClose("jobs", runner.Close)
	return nil
}

// suspicious reports whether a comment tries to instruct the machine that reads it.
func suspicious(text string) bool { return digest.Local{}.Suspicious(nexus.Letter{Text: text}) }

func (n *node) openPool(ctx context.Context) error {
	gemini, err := ai.NewGemini(ctx, n.cfg.GeminiKey, n.cfg.GeminiURL)
	if err != nil {
		return err
	}
	prices := map[string]ai.Price{}
	for name, m := range n.cfg.models {
		prices[name] = m.price
	}
	n.assistant.pool = ai.Start(ai.Options{
		System: n.cluster.System(), Model: gemini, Models: n.assistant.models, Prices: prices, Budget: n.assistant.budget, Log: n.log, Metrics: ai.NewMetrics(n.registry),
	})
	n.onClose("AI pool", n.assistant.pool.Close)
	return nil
}

// inbox takes mails for the campus.
func (n *node) inbox() letter.Inbox {
	return letter.Inbox{Store: pg.NewMail(n.db, n.assistant.queue), News: publisher{n.cluster, n.log}.News}
}

// openMail begins to take mails, if that is wanted.
func (n *node) openMail(context.Context) error {
	if n.cfg.SMTPAddr == "" {
		return nil
	}
	mails := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_smtp_mails_total", Help: "Mails and recipients, by what became of them."}, []string{"outcome"})
	n.registry.MustRegister(mails)
	s, err := smtp.Start(smtp.Options{
		Addr: n.cfg.SMTPAddr, LMTP: n.cfg.SMTPLocal, Domain: n.cfg.SMTPDomain, TLS: n.cfg.smtpTLS, Inbox: n.inbox(), Log: n.log,
		Count: func(outcome string) { mails.WithLabelValues(outcome).Inc() },
	})
	if err != nil {
		return fmt.Errorf("listen for mail: %w", err)
	}
	n.log.Info("taking mail", "addr", s.Addr())
	n.onClose("mail", s.Close)
	return nil
}

// publishForecast tells whoever looks at a hall.
func (n *node) publishForecast(f nexus.Forecast) {
	publisher{n.cluster, n.log}.Publish(mess.Topic(f.Hall), mess.Namespace, mess.ForecastUpdate, mess.ForecastUpdate+string(f.Hall), f)
}

// Report implements rest.Models.
func (a *assistant) Report(ctx context.Context) (ai.Report, error) {
	r := ai.Report{Budgets: []ai.BudgetReport{}}
	if a.pool != nil {
		s := a.pool.Status()
		r.Pool = &s
	}
	for _, model := range a.models {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		requests, tokens, l, err := a.budget.Spent(limited, model)
		cancel()
		if err != nil {
			return r, err
		}
		r.Budgets = append(r.Budgets, ai.BudgetReport{Model: model, Requests: requests, Tokens: tokens, MaxRequests: l.Requests, MaxTokens: l.Tokens})
	}
	var err error
	if a.pool != nil {
		if r.Sentiment, err = a.comments.Trial(ctx, a.summary.Model); err != nil {
			return r, err
		}
	}
	r.Jobs, err = a.queue.Count(ctx)
	return r, err
}
