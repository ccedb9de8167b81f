// Package digest says what a mail comes to without any model: the sentence that matters most, what it is about, whether it is urgent, and what it asks its reader to do by
// when. It also holds any summary, a model's too, to the rules, and knows mails that try to instruct the machine that reads them.
//
//	Letter --> sentences: what the writer says, without greetings, signatures and quotations, and without what is said to machines
//	       --> dates: the times that they speak of, by the reader's clock
//	       --> scores: the sentence that is most about what the mail is about
//
// It is pure: no clock, no randomness, no I/O.
package digest
