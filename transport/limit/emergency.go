package limit

// What an account may do in an emergency, over HTTP and sockets together. Nothing else that it does counts against these.
var (
	SOS      = Rule{Rate: 0.5, Burst: 10} // presses of the button, and cancels likewise
	Incident = Rule{Rate: 5, Burst: 100}  // what is said and done about an incident
)

// The buckets of these rules; the account's id follows.
const (
	SOSBucket      = "sos:"
	CancelBucket   = "sos:cancel:"
	IncidentBucket = "sos:incident:"
)
