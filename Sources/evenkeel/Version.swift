/// The version of Evenkeel, and the only place that says it: packages read it from this line.
let evenkeelVersion = "0.1.0"
