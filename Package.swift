// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// One Swift module of ours; arrows point down, leaves never import each other (docs/ARCHITECTURE.md).
func module(
  _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

/// The tests beside the module of that name.
func tests(
  _ module: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: module + "Tests", dependencies: [.byName(name: module)] + dependencies,
    resources: resources, swiftSettings: settings)
}

/// A program under Benchmarks that times a part of Evenkeel; nothing that is shipped depends on it.
func benchmark(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: "Benchmarks/" + name, swiftSettings: settings)
}

let package = Package(
  name: "evenkeel",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
  ],
  targets: [
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(
      name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .target(name: "CRawRows"),
    .target(name: "CArrowValues"),
    .target(name: "CNumberText", linkerSettings: [.linkedLibrary("simdjson")]),
    module("Records"),
    module("State", ["Records"]),
    .target(name: "CColumnKernel"),
    module("BatchNormalization", ["Records", "State", "CColumnKernel"]),
    module(
      "Operators", ["Records", "State", "BatchNormalization", "Configuration", "CColumnKernel"]),
    module("Dataflow", ["CLinux"]),
    module("Synthetic", ["Records"]),
    module("Storage", ["Records", "State", "CXXHash", "CLinux"]),
    module(
      "Codecs",
      [
        "Records", "Configuration", "CZstd", "CLZ4", "CZlib", "CNumberText", "CRawRows",
        "CArrowValues",
      ]),
    module("Configuration", ["Records", "CYAML"]),
    module(
      "Connectors",
      [
        "Records", "Dataflow", "Storage", "Configuration", "CLinux", "CRdKafka",
        .product(name: "HeapModule", package: "swift-collections"),
      ]),
    module(
      "Stream",
      [
        "Records", "State", "BatchNormalization", "Operators", "Dataflow", "Storage", "Codecs",
        "Connectors", "Configuration", .product(name: "Logging", package: "swift-log"),
      ]),
    module(
      "Supervision",
      [
        "Records", "BatchNormalization", "Operators", "Dataflow", "Storage", "Codecs",
        "Connectors", "Stream", "CLinux", .product(name: "Logging", package: "swift-log"),
      ]),
    module(
      "ControlPlane",
      [
        "Supervision", "Stream", "Operators", "BatchNormalization", "Records", "Storage",
        "Dataflow", "CLinux",
        .product(name: "Logging", package: "swift-log"),
      ], resources: [.embedInCode("Page/index.html")]),
    .executableTarget(
      name: "evenkeel",
      dependencies: [
        "ControlPlane", "Supervision", "Stream", "Configuration", "Synthetic", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    benchmark(
      "KernelBenchmark",
      ["BatchNormalization", "CColumnKernel", "Configuration", "Operators", "Records", "State"]),
    benchmark(
      "StageBenchmark",
      ["BatchNormalization", "Codecs", "Configuration", "Operators", "Records"]),
    tests("Records", ["TestSupport"]),
    tests("State", ["TestSupport", "Records"]),
    tests(
      "BatchNormalization", ["CColumnKernel", "State", "TestSupport"], resources: [.copy("Golden")]),
    tests(
      "Operators",
      ["BatchNormalization", "CColumnKernel", "Configuration", "Records", "State", "TestSupport"]),
    tests("Dataflow", ["TestSupport"]),
    tests("Storage", ["TestSupport"], resources: [.copy("Golden")]),
    .target(name: "CNumberOracle", path: "Tests/CNumberOracle"),
    tests(
      "Codecs", ["Records", "Configuration", "CNumberOracle", "TestSupport"],
      resources: [.copy("Golden")]),
    tests("Configuration", ["TestSupport"]),
    tests("Connectors", ["Dataflow", "Configuration", "TestSupport"]),
    tests(
      "ControlPlane",
      [
        "Supervision", "Stream", "Operators", "BatchNormalization", "Records", "Dataflow",
        "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
    tests("Stream", ["Supervision", "TestSupport"]),
    tests("Synthetic", ["Records", "TestSupport"]),
    .target(
      name: "TestSupport",
      dependencies: [
        "BatchNormalization", "Codecs", "CRdKafka", "Dataflow", "Operators", "Records", "State",
        "Storage", "Synthetic",
        // Not imported. SwiftPM builds late what is needed late, and the end-to-end tests wait for it: so it comes early.
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/TestSupport",
      swiftSettings: settings),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "Supervision", "Stream", "Operators", "BatchNormalization", "Codecs", "Configuration",
        "Connectors", "Dataflow",
        "Records",
        "Storage", "Synthetic", "TestSupport",
      ], swiftSettings: settings),
    .testTarget(
      name: "EndToEndTests", dependencies: ["evenkeel", "TestSupport", "CZstd"],
      resources: [.copy("Golden")],
      swiftSettings: settings),
    .testTarget(
      name: "CrashTests", dependencies: ["evenkeel", "TestSupport", "Records", "Storage"],
      swiftSettings: settings),
    .testTarget(
      name: "FuzzTests",
      dependencies: [
        "TestSupport", "Records", "Codecs", "Storage", "Configuration", "ControlPlane",
      ], swiftSettings: settings),
    .testTarget(
      name: "ExtensionTests",
      dependencies: [
        "ControlPlane", "Supervision", "Stream", "Operators", "BatchNormalization", "State",
        "Records", "Codecs", "Connectors", "Configuration", "Storage", "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: settings),
    .testTarget(name: "HouseRulesTests", swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
