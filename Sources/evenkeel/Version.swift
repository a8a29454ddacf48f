/// The version of Evenkeel. This is the only place that defines it; packages read it from this line.
let evenkeelVersion = "0.1.0"
