/// What a distributed method is called on the wire, as Swift's run-time has it: the mangled name of its thunk.
enum ActorTarget {
    /// Whether `target` is a distributed method that `type` itself declares, as far as the names can tell for sure.
    ///
    /// The run-time would call any actor's method on any actor. So the name must begin with the type's, go on with one
    /// identifier that is no further type, and end as a thunk's. Methods of generic types and of extensions in other modules
    /// have names of other shapes, and are not taken.
    static func isMethod(_ target: String, of type: Any.Type) -> Bool {
        guard let name = _mangledTypeName(type) else { return false }
        let target = Array(target.utf8)
        let prefix = Array("$s\(name)".utf8)
        guard name.utf8.last == UInt8(ascii: "C"), target.starts(with: prefix), target.ends(with: "TE") else {
            return false
        }
        guard let end = endOfIdentifier(target, from: prefix.count), end < target.count else { return false }
        // What is nested has its kind there: a class, struct, enum, protocol, type alias; an extension has its own.
        guard !"CVOPaEL".utf8.contains(target[end]) else { return false }
        // Types that are local to a function.
        return !target.contains("L_") && !target.contains("LL")
    }

    /// Where the identifier at `start` ends: a count and so many bytes; or a 0, and then parts, each of them words that were
    /// there before (small letters, a capital one for the last), and a count and so many bytes, or a 0 behind the last word.
    ///
    /// - Returns: `nil` if there is none.
    private static func endOfIdentifier(_ name: [UInt8], from start: Int) -> Int? {
        var index = start
        func byte() -> UInt8? { index < name.count ? name[index] : nil }
        var hasWords = byte() == UInt8(ascii: "0")
        if hasWords {
            index += 1
            // Two of them: not ASCII.
            guard let next = byte(), isLetter(next) else { return nil }
        }
        repeat {
            while hasWords, let letter = byte(), isLetter(letter) {
                index += 1
                hasWords = letter > UInt8(ascii: "Z")
            }
            if byte() == UInt8(ascii: "0") { return index + 1 }
            var count = 0
            while let digit = byte(), isDigit(digit), count < 4096 {
                count = count * 10 + Int(digit - UInt8(ascii: "0"))
                index += 1
            }
            guard count > 0, index + count <= name.count else { return nil }
            index += count
        } while hasWords
        return index
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
}

extension [UInt8] {
    fileprivate func ends(with text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }

    fileprivate func contains(_ text: String) -> Bool {
        let text = Array(text.utf8)
        return indices.contains { self[$0...].starts(with: text) }
    }
}
