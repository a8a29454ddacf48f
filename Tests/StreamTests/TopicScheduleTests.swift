import Dataflow
import TestSupport
import Testing

@testable import Stream

/// When a partition whose state is in a topic stores a state.
@Suite struct TopicScheduleTests {
  @Test func `a resumed run counts the records that an earlier one may have written`() {
    let schedule = CheckpointSchedule(everyRecords: 10, atTimedCuts: true)
    var policy = CheckpointPolicy(schedule, isResumed: true, clock: ManualClock().clock)
    #expect(policy.isRepeating)
    policy.count(9)
    policy.batchCut(byTime: true)
    _ = policy.barrierLeaves()
    #expect(policy.isRepeating && !policy.isDue)
    // A checkpoint is due at the next cut, so that the partition takes what has waited.
    policy.count(1)
    #expect(!policy.isRepeating && policy.isDue)
    var idle = CheckpointPolicy(schedule, isResumed: true, clock: ManualClock().clock)
    idle.caughtUp()
    #expect(!idle.isRepeating && idle.isDue)
    _ = idle.barrierLeaves()
    idle.caughtUp()
    #expect(!idle.isDue)
    #expect(!CheckpointPolicy(schedule, clock: ManualClock().clock).isRepeating)
  }

  @Test func `records and cuts by time make a checkpoint due`() {
    var policy = CheckpointPolicy(
      CheckpointSchedule(everyRecords: 10, atTimedCuts: true), clock: ManualClock().clock)
    for (records, isDue) in [(6, false), (3, false), (1, true)] {
      policy.count(records)
      policy.batchCut()
      #expect(policy.isDue == isDue)
    }
    _ = policy.barrierLeaves()
    policy.count(9)
    policy.batchCut()
    #expect(!policy.isDue)
    policy.batchCut(byTime: true)
    #expect(policy.isDue)
    var other = CheckpointPolicy(
      CheckpointSchedule(intervalSeconds: 10), clock: ManualClock().clock)
    other.batchCut(byTime: true)
    #expect(!other.isDue)
  }
}
