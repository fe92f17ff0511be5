/// `text` as one word for a POSIX shell, whatever is in it.
public func shellQuoted(_ text: String) -> String {
    let isPlain =
        !text.isEmpty
        && text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: ","), UInt8(ascii: "+"), UInt8(ascii: "@"):
                true
            default: false
            }
        }
    if isPlain { return text }
    var result = "'"
    for scalar in text.unicodeScalars {
        if scalar == "'" { result += "'\\''" } else { result.unicodeScalars.append(scalar) }
    }
    return result + "'"
}

/// Commands as one, each of which runs if those before it have succeeded; `nil` for none.
public func single(_ commands: [String]) -> String? {
    commands.isEmpty ? nil : commands.joined(separator: " && ")
}
