/// `text` as one word for a POSIX shell, whatever is in it.
public func shellQuoted(_ text: String) -> String {
    if !text.isEmpty && text.utf8.allSatisfy(isPlain) { return text }
    var result = "'"
    for scalar in text.unicodeScalars {
        if scalar == "'" { result += "'\\''" } else { result.unicodeScalars.append(scalar) }
    }
    return result + "'"
}

/// Commands as one, each of which runs, all of it, if those before it have succeeded; `nil` for none. What ends one, such as a
/// comment, a here-document or an `&`, is its own.
public func single(_ commands: [String]) -> String? {
    commands.count > 1 ? commands.map(wholeCommand).joined(separator: " && ") : commands.first
}

/// A command as one part of a list of commands. By `eval`, as braces are not in every shell.
func wholeCommand(_ command: String) -> String {
    guard let first = command.utf8.first, isPlain(first),
        command.utf8.allSatisfy({ isPlain($0) || $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "=") })
    else { return "eval " + shellQuoted(command) }
    return command
}

/// Whether it means itself and nothing else to every shell.
private func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: ","), UInt8(ascii: "+"), UInt8(ascii: "@"):
        true
    default: false
    }
}
