internal import Records

/// The places of the records that were looked at, in the order in which they were first met.
struct JSONPlaces: Sendable {
  /// One place, and the values that records have held in it.
  struct Place: Sendable {
    let keys: [String]
    /// The length that the vector had first; nil if no vector was here.
    var vectorLength: Int?
    /// The vectors of that length, and those of other lengths.
    var vectors = 0
    var otherVectors = 0
    /// The arrays of arrays or objects.
    var nested = 0
    /// The values that were in no vector.
    var profile = ColumnProfile()

    var name: String { JSONPath(keys: keys).description }

    /// The features that its values can be.
    var features: [JSONFeature] {
      JSONPath.all(keys, vectorLength: vectorLength).map {
        JSONFeature(name: $0.description, path: $0, vectorLength: vectorLength)
      }
    }

    /// Whether numbers, or vectors, were here.
    var holdsNumbers: Bool { vectorLength != nil || profile.unfitness == nil }

    /// The records that tell that it is a feature.
    var support: Int { vectorLength == nil ? profile.numbers : vectors }

    /// Why its values can be no features, if they cannot: most records must agree on what they are.
    var unfitness: FeatureChoice.Reason? {
      if nested > vectors + profile.count { return .nested }
      guard vectorLength != nil else { return profile.unfitness }
      if otherVectors > vectors { return .lengthsDiffer }
      return profile.count > vectors ? .notNumbers : nil
    }
  }

  private(set) var all: [Place] = []
  private var indices: [[Name]: Int] = [:]
  /// The place after the last one, as records mostly have their members in one order.
  private var likely = 0
  /// The values of all places together.
  private(set) var valueCount = 0

  /// The place that keys lead to; nil if nothing was met there.
  subscript(keys: [String]) -> Place? { indices[keys.asNames].map { all[$0] } }

  /// The places that hold numbers or vectors, and no objects in other records.
  var unmixed: [Place] {
    let mixed = mixedPlaces()
    return all.indices.filter { all[$0].holdsNumbers && !mixed.contains($0) }.map { all[$0] }
  }

  mutating func take(_ leaf: JSONLeaf) {
    let index = self.index(of: leaf.keys)
    likely = index + 1
    switch leaf.content {
    case .value(let value):
      if all[index].profile.isEmpty, all[index].vectorLength == nil { valueCount += 1 }
      all[index].profile.take(value)
    case .nested: all[index].nested += 1
    case .vector(let length):
      if all[index].vectorLength == nil {
        all[index].vectorLength = length
        valueCount += length
      }
      if all[index].vectorLength == length {
        all[index].vectors += 1
      } else {
        all[index].otherVectors += 1
      }
    }
  }

  /// The index of a place. Adds one that is new.
  private mutating func index(of keys: [String]) -> Int {
    if likely == all.count { likely = 0 }
    if likely < all.count, areSame(all[likely].keys, keys) { return likely }
    let names = keys.asNames
    if let known = indices[names] { return known }
    indices[names] = all.count
    all.append(Place(keys: keys))
    return all.count - 1
  }

  // MARK: The choice without patterns

  /// The features of a stream whose user named none, but for what patterns exclude.
  func choose(
    excluding exclude: [FeaturePattern], records: Int
  ) -> (features: [JSONFeature], choice: FeatureChoice) {
    let mixed = mixedPlaces()
    let candidates = all.indices.map { index in
      let place = all[index]
      let unfitness: FeatureChoice.Reason? =
        exclude.matches(place.name)
        ? .excluded : place.unfitness ?? (mixed.contains(index) ? .mixed : nil)
      return FeatureChooser.Candidate(
        name: place.name, unfitness: unfitness,
        order: place.vectorLength == nil ? place.profile.order : nil)
    }
    let chooser = FeatureChooser(candidates)
    // Single values of a vector can be excluded.
    let features = chooser.chosen.flatMap { all[$0].features }.filter { feature in
      feature.vectorLength == nil || !exclude.matches(feature.name)
    }
    return (features, FeatureChoice(records: records, leftOut: chooser.leftOut))
  }

  /// The places that other places lie within or around, for which more records speak: a record cannot have both.
  private func mixedPlaces() -> Set<Int> {
    var mixed = Set<Int>()
    for (index, place) in all.enumerated() where place.holdsNumbers {
      for count in 1..<max(1, place.keys.count) {
        guard let outer = indices[Array(place.keys.prefix(count)).asNames], all[outer].holdsNumbers
        else {
          continue
        }
        mixed.insert(all[outer].support < place.support ? outer : index)
      }
    }
    return mixed
  }
}
