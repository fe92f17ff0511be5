package import Martlet

/// A path in which `{host}` stands for a member, as one name of a file.
package struct MemberTemplate: Sendable {
    private let parts: [[UInt8]]

    package init(_ path: some PathName) {
        let mark = Array("{host}".utf8)
        var parts: [[UInt8]] = [[]]
        var rest = path.pathBytes[...]
        while let byte = rest.first {
            if byte == mark[0], rest.starts(with: mark) {
                rest = rest.dropFirst(mark.count)
                parts.append([])
            } else {
                parts[parts.count - 1].append(byte)
                rest = rest.dropFirst()
            }
        }
        self.parts = parts
    }

    /// Whether members differ in it.
    package var hasPlaces: Bool { parts.count > 1 }

    /// The path for a member.
    package func path(for member: GroupMember) -> [UInt8] {
        Array(parts.joined(separator: Array(member.fileName.utf8)))
    }

    /// The paths of all members, no two of which may be the same.
    ///
    /// - Throws: ``MartletError`` `misuse` if they would.
    package func paths(for members: some Collection<GroupMember>) throws -> [[UInt8]] {
        let paths = members.map { path(for: $0) }
        guard members.count > 1, Set(paths).count < paths.count else { return paths }
        let shown = String(decoding: Array(parts.joined(separator: Array("{host}".utf8))), as: UTF8.self)
        throw MartletError(
            .misuse, "\(members.count) hosts would write to \(shown)",
            advice: "put {host} into the path, as in \(shown)\(shown.hasSuffix("/") ? "" : "-"){host}")
    }
}
