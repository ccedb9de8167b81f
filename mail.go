package nexus

import "time"

// LetterID identifies a mail as it came, once for however many people it came to.
type LetterID string

// MailID identifies a mail that somebody has received.
type MailID string

// Letter is a mail as it is understood: headers decoded, text plain and in UTF-8, whatever its encodings were.
type Letter struct {
	MessageID string    // of the Message-ID header, without its brackets; may be empty
	From      string    // the address alone
	FromName  string    // may be empty
	Subject   string    // one line
	SentAt    time.Time // of the Date header; zero: unknown
	Text      string    // what a reader would see: hidden parts of HTML are left out
}

// MailCategory says what a mail is about.
type MailCategory string

// The categories of mails.
const (
	MailAcademic  MailCategory = "academic"  // classes, exams, assignments
	MailAdmin     MailCategory = "admin"     // fees, documents, offices
	MailEvent     MailCategory = "event"     // talks, clubs, festivals
	MailPlacement MailCategory = "placement" // jobs and internships
	MailHostel    MailCategory = "hostel"    // hostel and mess
	MailSafety    MailCategory = "safety"
	MailOther     MailCategory = "other"
)

// MaxSummaryWords is how long a summary is at most.
const MaxSummaryWords = 25

// MailSummary is what a mail comes to.
type MailSummary struct {
	Summary    string       `json:"summary"` // one sentence of at most MaxSummaryWords words
	Category   MailCategory `json:"category"`
	Urgent     bool         `json:"urgent"`
	Suspicious bool         `json:"suspicious"` // the mail tries to instruct the machine that reads it
	Actions    []MailAction `json:"actions"`
	Engine     string       `json:"engine"` // what made it: EngineLocal, or a model's name
}

// EngineLocal is the engine of results that no model was asked for.
const EngineLocal = "local"

// MailAction is something that a mail asks its reader to do.
type MailAction struct {
	Text     string     `json:"text"`
	DueAt    *time.Time `json:"dueAt"`
	Evidence string     `json:"evidence"` // a verbatim part of the mail's subject or text
	DoneAt   *time.Time `json:"doneAt"`
}

// Mail is a mail in somebody's list.
type Mail struct {
	ID         MailID       `json:"id"`
	From       string       `json:"from"`
	FromName   string       `json:"fromName"`
	Subject    string       `json:"subject"`
	SentAt     *time.Time   `json:"sentAt"` // by its own word
	ReceivedAt time.Time    `json:"receivedAt"`
	Summary    *MailSummary `json:"summary"` // nil: not made yet; of lists without actions
}

// MailText is a mail with its text.
type MailText struct {
	Mail
	Text string `json:"text"`
}

// SummaryOrder is the wish for a summary of a letter for readers in a zone.
type SummaryOrder struct {
	Letter LetterID `json:"letter"`
	TZ     string   `json:"tz"`
}
