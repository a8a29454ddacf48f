/// What each of our modules may import, the toolchain's modules included; docs/ARCHITECTURE.md
/// tells why. A module that is not listed here may import nothing.
let allowedImports: [String: Set<String>] = [
  "Records": [],
  "State": ["Records"],
  "BatchNormalization": ["Records", "State", "CColumnKernel", "Glibc"],
  "Operators": ["Records", "State", "BatchNormalization", "Configuration", "Glibc"],
  "Dataflow": ["CLinux", "Dispatch", "Glibc", "Synchronization"],
  "Synthetic": ["Records"],
  "Configuration": ["Records", "CYAML"],
  "Storage": [
    "Records", "State", "CXXHash", "CLinux", "FoundationEssentials", "Glibc", "Synchronization",
  ],
  "Codecs": [
    "Records", "Configuration", "CZstd", "CLZ4", "CZlib", "CNumberText", "CRawRows", "CArrowValues",
    "Synchronization",
    "Glibc",
  ],
  "Connectors": [
    "Records", "Dataflow", "Storage", "Configuration", "CLinux", "HeapModule", "Glibc",
    "Synchronization",
  ],
  "Stream": [
    "Records", "State", "BatchNormalization", "Operators", "Dataflow", "Storage", "Codecs",
    "Connectors", "Configuration", "Logging", "Dispatch", "FoundationEssentials", "Synchronization",
  ],
  "Supervision": [
    "Records", "BatchNormalization", "Operators", "Dataflow", "Storage", "Codecs", "Connectors",
    "Stream", "Logging", "Dispatch", "Glibc", "Synchronization",
  ],
  "ControlPlane": [
    "Records", "BatchNormalization", "Operators", "Dataflow", "Storage", "Stream", "Supervision",
    "Logging", "Dispatch", "CLinux",
    "FoundationEssentials", "Glibc", "Synchronization",
  ],
  "evenkeel": [
    "Configuration", "Records", "State", "BatchNormalization", "Operators", "Dataflow", "Storage",
    "Codecs", "Connectors", "Stream", "Supervision", "ControlPlane", "Synthetic",
    "ArgumentParser", "CLinux", "Logging", "Dispatch", "FoundationEssentials",
    "Glibc", "Synchronization",
  ],
]

/// The files that meet each C module; everything else goes through them.
let wrapperFiles: [String: Set<String>] = [
  "CZstd": [
    "Sources/Codecs/Compression/Zstd/ZstdCompressor.swift",
    "Sources/Codecs/Compression/Zstd/ZstdDecompressor.swift",
    "Sources/Codecs/Compression/Zstd/ZstdFrames.swift",
  ],
  "CLZ4": [
    "Sources/Codecs/Compression/LZ4/LZ4Decompressor.swift",
    "Sources/Codecs/Compression/LZ4/LZ4Frame.swift",
  ],
  "CZlib": ["Sources/Codecs/Compression/Gzip/GzipDecompressor.swift"],
  "CArrowValues": ["Sources/Codecs/Arrow/ArrowValues.swift"],
  "CXXHash": ["Sources/Storage/XXH3.swift"],
  "CLinux": [
    "Sources/ControlPlane/Metrics/ProcessStatistics.swift",
    "Sources/Connectors/POSIX/Epoll.swift", "Sources/Connectors/POSIX/Epoll+Writing.swift",
    "Sources/Dataflow/ReadinessWatch.swift", "Sources/Dataflow/StageThreads.swift",
    "Sources/Dataflow/Threads.swift",
    "Sources/Storage/FileSystem/Inotify.swift", "Sources/Storage/FileSystem/POSIXFile.swift",
    "Sources/evenkeel/Evenkeel.swift",
  ],
  "CRawRows": ["Sources/Codecs/Raw/RawRows.swift"],
  "CColumnKernel": [
    "Sources/BatchNormalization/ColumnKernel.swift",
    "Sources/BatchNormalization/Keys/KeyKernel.swift",
  ],
  "CNumberText": [
    "Sources/Codecs/Text/NumberText.swift", "Sources/Codecs/CSV/CSVRowReader.swift",
    "Sources/Codecs/NDJSON/JSONRecordReader.swift", "Sources/Codecs/Text/PlainRows.swift",
  ],
]

/// The files in which unsafe pointers may stand, each with the reason.
let filesWithUnsafeCode: [String: String] = [
  "Sources/BatchNormalization/ColumnKernel.swift": "the wrapper of the C loops over columns",
  "Sources/BatchNormalization/Keys/KeyKernel.swift": "the wrapper of the C loops over keys",
  "Sources/Operators/Drift/DriftCharts.swift": "moves the rows of charts in place",
  "Sources/Codecs/Arrow/ArrowBatch.swift": "normalises values in the bytes of their message",
  "Sources/Codecs/Arrow/ArrowBatchReader.swift": "reads a body in the window, without a copy",
  "Sources/Codecs/Arrow/ArrowBuffers.swift": "hands buffers to the codecs in place",
  "Sources/Codecs/Arrow/ArrowDecoder+Opening.swift": "reads messages in the window, without a copy",
  "Sources/Codecs/Arrow/ArrowDecoder.swift": "reads messages in the window, without a copy",
  "Sources/Codecs/Arrow/ArrowBody.swift": "writes values into the buffer of the output",
  "Sources/Codecs/Arrow/ArrowValues.swift": "the wrapper of the C functions that move values",
  "Sources/Codecs/Arrow/FlatTable.swift": "reads flatbuffers in place, every access checked",
  "Sources/Configuration/YAMLNode.swift": "the wrapper of libyaml",
  "Sources/Connectors/Memory/MemorySource.swift": "a source copies bytes into the given buffer",
  "Sources/evenkeel/ShortNumber.swift": "the wrapper of vsnprintf",
  "Sources/Codecs/ByteBuffer.swift": "owns memory that is filled and consumed in place",
  "Sources/Codecs/CSV/CSVDecoder.swift": "reads fields in the window, without a copy",
  "Sources/Codecs/CSV/CSVFields.swift": "finds fields in the window, without a copy",
  "Sources/Codecs/CSV/CSVLookAhead.swift": "looks at fields in the window, without a copy",
  "Sources/Codecs/CSV/CSVTextFields.swift": "finds fields in the text of records",
  "Sources/Codecs/CSV/CSVValues+Roles.swift": "reads role columns in the window, without a copy",
  "Sources/Codecs/CSV/CSVValues.swift": "reads values in the window, without a copy",
  "Sources/Codecs/CSV/CSVRecordScanner.swift": "finds line ends and delimiters with memchr",
  "Sources/Codecs/CSV/CSVRowReader.swift": "the wrapper of the C function that reads rows",
  "Sources/Codecs/Compression/CompressionCodec.swift": "a codec sees its input in place",
  "Sources/Codecs/Compression/InputDecompressor.swift": "hands windows of the input to codecs",
  "Sources/Codecs/Compression/LZ4/LZ4Frame.swift": "the wrapper of CLZ4",
  "Sources/Codecs/Compression/LZ4/LZ4Decompressor.swift":
    "the wrapper of CLZ4 for pieces of frames",
  "Sources/Codecs/Compression/Gzip/GzipDecompressor.swift": "the wrapper of CZlib",
  "Sources/Codecs/Compression/Zstd/ZstdCompressor.swift": "the wrapper of CZstd for output",
  "Sources/Codecs/Compression/Zstd/ZstdDecompressor.swift": "the wrapper of CZstd for input",
  "Sources/Codecs/Compression/Zstd/ZstdFrames.swift": "the wrapper of CZstd for frames in memory",
  "Sources/Codecs/NDJSON/JSONFeatureSearch.swift": "looks at lines of the window, without a copy",
  "Sources/Codecs/NDJSON/JSONRecordReader.swift": "the wrapper of simdjson's C functions",
  "Sources/Codecs/NDJSON/JSONRoles.swift": "reads role columns in the line, without a copy",
  "Sources/Codecs/NDJSON/NDJSONDecoder.swift": "hands lines of the window to simdjson",
  "Sources/Codecs/Text/NumberText.swift": "the wrapper of the number functions",
  "Sources/Codecs/Text/TimeText.swift": "reads times in place",
  "Sources/Codecs/RoleColumns.swift": "reads values of role columns in place",
  "Sources/Codecs/Raw/Raw.swift": "looks for bad values in the window, without a copy",
  "Sources/Codecs/Raw/RawRows.swift": "the wrapper of the C functions that move rows",
  "Sources/Codecs/Text/PlainRows.swift":
    "hands columns and windows to the C functions that read rows",
  "Sources/Codecs/RecordDecoder.swift": "a decoder sees its window in place",
  "Sources/Connectors/POSIX/Descriptor.swift": "the seam to descriptors: read(2)",
  "Sources/Connectors/POSIX/HTTPPost.swift": "the seam to sockets: addresses are C structures",
  "Sources/Connectors/POSIX/Socket.swift": "the seam to sockets: addresses are C structures",
  "Sources/Connectors/POSIX/Sending.swift": "the seam to descriptors: write(2) and send(2)",
  "Sources/Connectors/Sockets/ConnectionSource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/Directory/DirectorySource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/FIFO/FIFOSource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/File/FilesSource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/File/FileSource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/Follow/FollowSource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/Follow/FollowedFile.swift": "a source reads into its caller's memory",
  "Sources/Connectors/Sequence/SequenceSource.swift": "a source reads into its caller's memory",
  "Sources/Connectors/Source.swift": "a source reads into its caller's memory",
  "Sources/ControlPlane/HTTP/ControlSocket.swift": "the seam to sockets: C structures",
  "Sources/Dataflow/Lock.swift": "a pthread mutex needs a stable address",
  "Sources/Stream/Stages/SplitReader.swift": "hands windows of its buffers to the decoders",
  "Sources/evenkeel/ServiceNotifier.swift": "a socket address is raw memory",
  "Sources/State/Keys/KeyIndex.swift": "reads the names of records in place, eight bytes at once",
  "Sources/State/Keys/KeyNames.swift": "compares names in place, eight bytes at once",
  "Sources/State/Keys/KeyRows.swift": "copies the rows of keys, for make bench-keys",
  "Sources/Storage/FileSystem/AtomicFile.swift": "the file-system seam",
  "Sources/Storage/FileSystem/FileSystem.swift": "the file-system seam",
  "Sources/Storage/FileSystem/Inotify.swift":
    "the seam to inotify(7), whose events are read as bytes",
  "Sources/Storage/FileSystem/POSIXFile.swift": "the file-system seam: read(2) and write(2)",
  "Sources/Storage/FileSystem/POSIXFileSystem.swift": "the file-system seam: readdir(3)",
  "Sources/Storage/Safetensors/Tensor.swift": "copies numbers at once, and not byte by byte",
  "Sources/Storage/XXH3.swift": "the wrapper of CXXHash",
]

/// The most lines that a file may have.
let lineLimit = 400
