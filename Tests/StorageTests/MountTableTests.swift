import Storage
import Testing

@Suite struct MountTableTests {
  private let table = MountTable(
    Array(
      """
      22 27 0:21 / /proc rw,relatime - proc proc rw
      27 1 254:0 / / rw,noatime shared:1 - ext4 /dev/vda rw
      30 27 0:40 / /mnt/a\\040b rw - nfs server:/x rw
      31 27 0:41 / /mnt rw - tmpfs tmpfs rw
      32 27 0:42 / /data rw - tmpfs tmpfs rw
      33 32 0:43 / /data rw - tmpfs tmpfs rw
      no mount
      34 27 x:y / /odd rw - tmpfs tmpfs rw

      """.utf8))

  private func device(_ major: UInt64, _ minor: UInt64) -> UInt64 { major << 32 | minor }

  @Test func `a path belongs to the longest mount point that holds it`() {
    #expect(table.device(of: "/") == device(254, 0))
    #expect(table.device(of: "/etc/x") == device(254, 0))
    #expect(table.device(of: "/mnt") == device(0, 41))
    #expect(table.device(of: "/mnt/x") == device(0, 41))
    #expect(table.device(of: "/mntx/y") == device(254, 0))
    #expect(table.device(of: "/odd/x") == device(254, 0))
  }

  @Test func `a mount point may hold a blank, and the last mount at a point counts`() {
    #expect(table.device(of: "/mnt/a b/c") == device(0, 40))
    #expect(table.device(of: "/data/x") == device(0, 43))
  }

  @Test func `a table that says nothing gives nothing`() {
    #expect(MountTable([]).device(of: "/x") == nil)
  }

  @Test
  func
    `the table of this process knows its root, and a relative path is seen from the working directory`()
  {
    let table = MountTable.current()
    #expect(table.device(of: "/proc/self") != nil)
    #expect(table.device(of: "/proc/self") != table.device(of: "/"))
    #expect(table.device(of: "x") != nil)
  }
}
