public import Martlet

/// All that failed in a group.
public struct GroupError: Error {
    /// In the group's order; at least one.
    public let failures: [(member: GroupMember, error: any Error)]
    /// How many members there were.
    public let count: Int
    /// Why not all were begun; `nil` if they were.
    public let stop: FleetStop?

    init(_ failures: [(member: GroupMember, error: any Error)], of count: Int, stop: FleetStop?) {
        (self.failures, self.count, self.stop) = (failures, count, stop)
    }
}

extension GroupError: CustomStringConvertible {
    /// How many failed, and why: members that failed alike are told together, most of them first.
    ///
    ///     3 of 20 failed
    ///     web[03-04]: {host} does not answer [phase reach]
    ///       try: ...
    ///     web07: exit code 1: nginx -t
    public var description: String {
        var text = "\(failures.count) of \(count) failed"
        if let stop { text += "; \(stop)" }
        let alike = OutputGroups(failures.map { ($0.member.name, Self.text(of: $0.error, for: $0.member)) })
        for group in alike {
            let first = failures.first { $0.member.name == group.names[0] }!
            let words = group.names.count == 1 ? "\(first.error)" : group.content
            text += "\n\(group.nodes): " + words.split(separator: "\n").joined(separator: "\n    ")
        }
        return text
    }

    /// What many have in common: without the route, and with `{host}` for what each is called.
    private static func text(of error: any Error, for member: GroupMember) -> String {
        var text: String
        var names = [member.name, member.host]
        if let error = error as? MartletError {
            text = error.message
            if let phase = error.phase { text += " [phase \(phase)]" }
            if let detail = error.detail, !detail.isEmpty { text += "\n" + detail }
            if let advice = error.advice { text += "\n  try: \(advice)" }
            // What ssh says has the host's name without the kind and the user.
            if let last = error.route.steps.last {
                names.append(last)
                let address = last.split(separator: ":", maxSplits: 1).last.map(String.init) ?? last
                names.append(address)
                names.append(address.split(separator: "@").last.map(String.init) ?? address)
            }
        } else {
            text = "\(error)"
        }
        for name in names where name.utf8.count > 1 { text = text.replacing(word: name, with: "{host}") }
        return text
    }
}

extension String {
    /// Where the word stands by itself: `web1` is not in `web10`.
    func replacing(word: String, with replacement: String) -> String {
        let (bytes, word) = (Array(utf8), Array(word.utf8))
        guard !word.isEmpty, bytes.count >= word.count else { return self }
        func isPart(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte >= 0x80
        }
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let end = index + word.count
            if end <= bytes.count, bytes[index] == word[0], bytes[index..<end].elementsEqual(word),
                index == 0 || !isPart(bytes[index - 1]), end == bytes.count || !isPart(bytes[end])
            {
                result += Array(replacement.utf8)
                index = end
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// A command did not succeed in a member. What came of it is attached.
public struct CommandError: Error, CustomStringConvertible {
    /// What came of it.
    public let result: CommandResult

    /// How it ended, which command, and the last lines of what it said.
    public var description: String {
        var text = "\(result.termination): \(result.command)"
        let said = result.standardError.isEmpty ? result.text : result.errorText
        let lines = said.split(separator: "\n")
        for line in lines.suffix(10) { text += "\n    \(line)" }
        return text
    }
}
