import Foundation
import TestSupport
import Testing

struct ExportTests {
  @Test(arguments: ["--key k", "--weight-class k"])
  func `an export without keys says that it leaves them out`(option: String) throws {
    let place = try Workplace()
    let rows = (0..<30).map { "d\($0 % 3),\($0)\n" }.joined()
    try place.write("in.csv", Array(("k,x\n" + rows).utf8))
    let run = try place.shell(
      "$EVENKEEL normalize in.csv -o out.csv --features x \(option) --checkpoint-out c")
    #expect(run.exitCode == 0, "\(run.errors)")
    let kind = option == "--key k" ? "keys" : "classes"
    for format in ["pytorch", "folded"] {
      let exported = try place.evenkeel("export", "c", "--to", format, "-o", "e")
      #expect(exported.exitCode == 0)
      #expect(
        exported.errors
          == "evenkeel: c: \(format) has one mean and variance a feature: those of 3 \(kind) are left out, json has them\n"
      )
      #expect(
        String(decoding: try place.read("e"), as: UTF8.self)
          .contains("\"evenkeel.keys_left_out\":\"3\""))
    }
    #expect(try place.evenkeel("export", "c", "--to", "json", "-o", "e").errors.isEmpty)
  }

  @Test func `inspect shows the JSON that export writes, with every setting of the transform`()
    throws
  {
    let place = try Workplace()
    let run = try place.evenkeel(
      "normalize", weather, "-o", "1.csv", "--variance-floor", "0.75", "--checkpoint-out", "c")
    #expect(run.exitCode == 0, "\(run.errors)")
    _ = try place.evenkeel("export", "c", "--to", "json", "-o", "c.json")
    let shown = try place.evenkeel("inspect", "c", "--json")
    #expect(try shown.output == place.read("c.json"))
    let object = try JSONSerialization.jsonObject(with: Data(shown.output)) as? [String: Any]
    let settings = try #require(object?["settings"] as? [String: String])
    #expect(settings["variance_floor"] == "0.75")
    #expect(settings["epsilon.relative"] == "1e-05" && settings["clip"] == "100.0")

    _ = try place.evenkeel("import", "c.json", "--from", "json", "-o", "again")
    #expect(try place.read("again") == place.read("c"))
    let exported = try place.evenkeel("export", "c", "--to", "json", "-o", "-")
    #expect(try exported.output == place.read("c.json"))
    let imported = try place.evenkeel("import", "c.json", "--from", "json", "-o", "-")
    #expect(try imported.output == place.read("c"))
    #expect(!place.files.contains("-"))

    #expect(exported.errors.isEmpty)
    let other = try place.evenkeel(
      "normalize", weather, "-o", "2.csv", "--frozen", "--checkpoint-in", "c")
    #expect(other.exitCode == 78)
    #expect(other.errors.contains("variance_floor: expected none, found 0.75"))
    let same = try place.evenkeel(
      "normalize", weather, "-o", "2.csv", "--frozen", "--checkpoint-in", "c",
      "--variance-floor", "0.75")
    #expect(same.exitCode == 0, "\(same.errors)")
  }
}
