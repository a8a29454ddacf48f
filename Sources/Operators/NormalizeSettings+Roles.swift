package import Configuration
package import Records

// The columns that are no features and tell the normaliser something about each record.
extension NormalizeSettings {
  package static let weightColumn = Setting(
    "weight.column", .text(called: "a column"), option: .value("weight-column", "name"),
    help:
      "A column that tells how much each record counts in the moments: 0 to 1, `true` or `false`. The record is "
      + "normalised all the same, and the column passes as it is.")

  /// The role columns that the values name.
  package static func roles(_ values: SettingValues) -> [RoleColumn] {
    var roles: [RoleColumn] = []
    if let name = values[weightColumn] { roles.append(RoleColumn(.weight, name: name)) }
    return roles
  }
}
