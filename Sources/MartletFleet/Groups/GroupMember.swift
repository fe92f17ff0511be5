/// One of a group's: the name of its host, and, as a host may be there more than once, which of them.
///
/// `web1` is the first of that name, `web1#2` the second. Two groups that both have a `web1` mean the same member by it.
public struct GroupMember: Hashable, Sendable, Codable {
    /// What its host is called: its spec without options, or the name that it was given.
    public let host: String
    /// Which of those with the same host, from 1 on.
    public let number: Int

    /// A member by its host's name and its number among those.
    public init(_ host: String, number: Int = 1) { (self.host, self.number) = (host, number) }

    /// `web1`, `web1#2`.
    public var name: String { number == 1 ? host : "\(host)#\(number)" }

    /// Its name as one name of a file: without slashes.
    package var fileName: String {
        let name = String(name.map { $0 == "/" || $0 == "\0" ? "_" : $0 })
        return name == "." || name == ".." ? "_" + name : name
    }
}

extension GroupMember: CustomStringConvertible {
    /// The name.
    public var description: String { name }
}
