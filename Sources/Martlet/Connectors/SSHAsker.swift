/// Which host a question of ssh's is about, as far as ssh itself says that: `joe@web1's password:`, or, from OpenSSH 8.5 on,
/// `(joe@web1) ` in front of what the host asks.
struct SSHAsker {
    private let host: Substring?

    init(_ text: String) {
        let account: Substring?
        if text.hasPrefix("(") {
            account = text.dropFirst().prefix { $0 != ")" }
        } else {
            account = text.split(separator: " ").first.flatMap { $0.hasSuffix("'s") ? $0.dropLast(2) : nil }
        }
        host = account.flatMap { account in account.lastIndex(of: "@").map { account[account.index(after: $0)...] } }
    }

    /// Whether it is the host that we connect to which asks, not one that is on the way there.
    ///
    /// - Parameter chatter: what `ssh -v` has said so far, from its beginning on.
    func isTarget(_ name: String, behind chatter: [String]) -> Bool {
        // The first of them is of the ssh that we started: it comes before any host had a word.
        let start = "debug1: Executing proxy command: "
        guard let line = chatter.first(where: { $0.hasPrefix(start) }) else { return true }
        // Without another ssh nobody else asks here.
        guard String(line.dropFirst(start.count)).mentions("ssh") else { return true }
        return host.map { $0 == name[...] || $0 == Self.destination(of: line) } ?? false
    }

    /// `web1` of `… exec ssh -v -W '[web1]:22' bastion`, as `ProxyJump` makes it.
    private static func destination(of line: String) -> Substring? {
        let words = line.split(separator: " ")
        guard let option = words.firstIndex(of: "-W"), option + 1 < words.count else { return nil }
        let place = words[option + 1].drop { $0 == "'" || $0 == "\"" }
        return place.hasPrefix("[") ? place.dropFirst().prefix { $0 != "]" } : place.split(separator: ":").first
    }
}
