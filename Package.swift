// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// One Swift module of ours; arrows point down, leaves never import each other (docs/ARCHITECTURE.md).
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The tests beside the module of that name.
func tests(
  _ module: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: module + "Tests", dependencies: [.byName(name: module)] + dependencies,
    resources: resources, swiftSettings: settings)
}

let package = Package(
  name: "evenkeel",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .target(name: "CNumberText", linkerSettings: [.linkedLibrary("simdjson")]),
    module("Features"),
    module("BatchNormalization", ["Features"]),
    module("Dataflow"),
    module("Synthetic", ["Features"]),
    module("Storage", ["Features", "CXXHash"]),
    module("Codecs", ["Features", "CZstd", "CNumberText"]),
    module("Connectors", ["Features", "Storage"]),
    module(
      "Pipeline",
      ["Features", "BatchNormalization", "Dataflow", "Storage", "Codecs", "Connectors"]),
    .executableTarget(
      name: "evenkeel",
      dependencies: [
        "Pipeline", "Synthetic",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    tests("Features"),
    tests("BatchNormalization", resources: [.copy("Golden")]),
    tests("Dataflow"),
    tests("Storage", resources: [.copy("Golden")]),
    tests("Codecs", ["Features"], resources: [.copy("Golden")]),
    tests("Connectors"),
    tests("Pipeline"),
    tests("Synthetic", ["Features"]),
    .testTarget(name: "EndToEndTests", dependencies: ["evenkeel"], swiftSettings: settings),
    .testTarget(name: "HouseRulesTests", swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
