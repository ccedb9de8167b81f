package nexus

// Sentiment is how the comments of a hall, a dish or a day are meant.
type Sentiment struct {
	Key      string            `json:"key"` // the id of the hall or dish, or the day
	Name     string            `json:"name"`
	Comments int               `json:"comments"`
	Mean     float64           `json:"mean"`     // of their scores, from -1 to 1
	Positive int               `json:"positive"` // above 0.05, VADER's own bound
	Negative int               `json:"negative"` // below -0.05
	Drivers  []SentimentDriver `json:"drivers"`  // the words that told most, the strongest first
}

// SentimentDriver is a word that told.
type SentimentDriver struct {
	Word     string  `json:"word"`
	Comments int     `json:"comments"` // that it decided
	Weight   float64 `json:"weight"`   // the sum of what they would lose without it
}
