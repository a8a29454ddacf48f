import BatchNormalization
import Configuration
import Foundation
import Operators
import Records
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

private let browserPath = ProcessInfo.processInfo.environment["EVENKEEL_CHROMIUM"]

/// The live page in a real browser; `make page` names one in EVENKEEL_CHROMIUM.
@Suite(.enabled(if: browserPath != nil), .serialized)
struct PageTests {
  @Test func `streams, rates and the features of the chosen stream are shown`() async throws {
    let dom = try await page(MadeDaemon.small(), fragment: "stream=weather", seconds: 8)
    #expect(dom.contains(">live<"))
    #expect(dom.ranges(of: "<th scope=\"row\">").count == 6)
    #expect(dom.contains("backing off"))
    #expect(dom.contains("connection refused"))
    #expect(dom.ranges(of: "<article class=\"feature").count == 8)
    // The rate of the made stream is some 10,000 records a look, that is a second or a little more.
    let rate = try #require(dom.firstMatch(of: /<b id="records">([0-9,]+)<\/b>/)?.output.1)
    #expect(try #require(Int(rate.replacing(",", with: ""))) > 1000)
  }

  @Test func `the plot of a feature leaves out the initial moments`() async throws {
    var initial = FeatureStatus.made("pressure")
    for (member, value) in [("values", 0.0), ("mean", 0), ("stddev", 1)] {
      initial.set(member, value)
    }
    for member in ["batch_mean", "batch_stddev", "drift"] { initial.set(member, nil) }
    let fake = FakeSupervision([.made("s")], features: ["s": [initial]])
    fake.withState { state in
      state.advance = { state in
        state.looks += 1
        guard state.looks > 3 else { return }
        for (member, value) in [("values", 256.0), ("mean", 1017), ("stddev", 5)] {
          state.features["s"]?[0].set(member, value)
        }
      }
    }
    let dom = try await page(fake, fragment: "stream=s", seconds: 12)
    let labels = dom.matches(of: /pressure: mean 1,?017[^;"]*; plot from ([0-9.,]+) to ([0-9.,]+)/)
    let label = try #require(labels.first)
    let bounds = [label.output.1, label.output.2].map { Double($0.replacing(",", with: "")) }
    #expect(bounds == [1009, 1025])
  }

  @Test func `a single stream opens by itself, one of several does not`() async throws {
    let features = ["weather": [FeatureStatus.made("temp"), .made("humid")]]
    let one = FakeSupervision([.made("weather")], features: features)
    #expect(
      try await page(one, seconds: 3).ranges(of: "<article class=\"feature").count == 2)
    let two = FakeSupervision([.made("weather"), .made("clicks")], features: features)
    #expect(
      try await page(two, seconds: 3).ranges(of: "<article class=\"feature").isEmpty)
  }

  @Test func `a daemon without streams says so`() async throws {
    let dom = try await page(FakeSupervision([]), seconds: 2)
    #expect(dom.contains("This daemon has no streams."))
    #expect(dom.contains(">0 of 0<"))
  }

  @Test func `of 500 streams a part is shown and the filter finds any`() async throws {
    let fake = FakeSupervision((0..<500).map { .made("stream-\($0)") })
    let all = try await page(fake, seconds: 2)
    #expect(all.ranges(of: "<th scope=\"row\">").count == 50)
    #expect(all.contains("Show more (450 not shown)"))
    let one = try await page(fake, fragment: "filter=STREAM-499", seconds: 2)
    #expect(one.ranges(of: "<th scope=\"row\">").count == 1)
  }

  @Test func `of 200 features a part is drawn and the filter finds any`() async throws {
    let fake = FakeSupervision(
      [.made("s")], features: ["s": (0..<200).map { .made("f\($0)") }])
    let all = try await page(fake, fragment: "stream=s", seconds: 3)
    #expect(all.ranges(of: "<article class=\"feature").count == 48)
    let one = try await page(fake, fragment: "stream=s&features=f199", seconds: 3)
    #expect(one.ranges(of: "<article class=\"feature").count == 1)
  }

  @Test func `features that drift are listed with the time since when, and marked`() async throws {
    let names = ["temp", "humid"]
    let fake = FakeSupervision([.made("s")], features: ["s": names.map { .made($0) }])
    let alarms = try DriftAlarm.made(names)
    fake.withState { state in
      state.statuses[0].driftAlarms = alarms
      state.features["s"]?[1].set("drift_alarm", 0)
    }
    let dom = try await page(fake, fragment: "stream=s", seconds: 4)
    let list = try #require(dom.firstMatch(of: /<ul id="drifts"[^>]*>(.*?)<\/ul>/)?.output.1)
    #expect(list.contains("<li><b>temp</b> its mean is ") && !list.contains("humid"), "\(list)")
    fake.withState { $0.statuses[0].driftAlarms = alarms.map { $0.of(partition: 3) } }
    let parts = try await page(fake, fragment: "stream=s", seconds: 4)
    #expect(parts.contains("<li>partition 3: <b>temp</b> its mean is "))
    #expect(list.contains("reference deviations above the reference"), "\(list)")
    #expect(list.contains("since batch 301 (record 19201)<small> 20 s ago</small>"), "\(list)")
    #expect(dom.ranges(of: "<article class=\"feature drifting\">").count == 1)
    #expect(dom.ranges(of: "<article class=\"feature\">").count == 1)
  }

  @Test func `names are text, never markup`() async throws {
    let name = "<img src=x onerror=document.title='run'>"
    let fake = FakeSupervision([.made(name)], features: [name: [.made(name)]])
    fake.withState { $0.statuses[0].lastError = "<script>document.title='run'</script>" }
    let fragment = try #require(
      "stream=\(name)".addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(["="])))
    let dom = try await page(fake, fragment: fragment, seconds: 3)
    #expect(dom.contains("&lt;img src=x"))
    #expect(!dom.contains("<img"))
    #expect(dom.contains("<title>Evenkeel</title>"))
  }

  /// The document after so many seconds of the page's own time.
  private func page(_ fake: FakeSupervision, fragment: String = "", seconds: Int) async throws
    -> String
  {
    var dom = ""
    try await TestServer.run(fake) { server in
      dom = try await browse("http://\(server.tcp)/#\(fragment)", seconds: seconds, ["--dump-dom"])
    }
    return dom
  }

  private func browse(_ url: String, seconds: Int, _ arguments: [String]) async throws -> String {
    let profile = FileManager.default.temporaryDirectory
      .appending(path: "evenkeel-page-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: profile) }
    let process = Process()
    process.executableURL = URL(filePath: try #require(browserPath))
    process.arguments =
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--user-data-dir=\(profile.path())",
        "--virtual-time-budget=\(seconds * 1000)",
      ] + arguments + [url]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let reader = output.fileHandleForReading
    let data = await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: reader.readDataToEndOfFile()) }
    }
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: data, as: UTF8.self)
  }
}
