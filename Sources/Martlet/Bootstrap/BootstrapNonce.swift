/// The number that ties what a far side prints to one bootstrap: 16 to 32 lower-case hexadecimal digits, used once.
///
/// It keeps banners, echoed command lines and other bootstraps from being taken for ours, and names the temporary
/// directory at the far side, so it must be unpredictable.
package struct BootstrapNonce: Sendable, Hashable {
    package let text: String

    /// - Returns: nil if `text` is not 16 to 32 lower-case hexadecimal digits.
    package init?(_ text: String) {
        guard (16...32).contains(text.utf8.count), text.isLowercaseHex else { return nil }
        self.text = text
    }

    /// 32 digits from the system's random generator.
    package static func random() -> BootstrapNonce {
        var text = ""
        for _ in 0..<4 {
            let digits = String(UInt32.random(in: .min ... .max), radix: 16)
            text += String(repeating: "0", count: 8 - digits.count) + digits
        }
        return BootstrapNonce(unchecked: text)
    }

    private init(unchecked text: String) { self.text = text }

    /// What every report line begins with.
    package var reportMarker: [UInt8] { Array("MARTLET-\(text) ".utf8) }

    /// What the agent's first bytes are: NUL, `MARTLET`, NUL, the nonce's digits. What follows is the link's.
    package var helloMarker: [UInt8] { [0] + Array("MARTLET".utf8) + [0] + Array(text.utf8) }
}

extension String {
    /// Whether the text is not empty and consists of 0-9 and a-f.
    var isLowercaseHex: Bool {
        !isEmpty && utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// Whether the text can stand unquoted in a shell and as a file's name: letters, digits and `_ . + -`, beginning
    /// with neither a dot nor a dash, 1 to 128 bytes.
    var isPlainFileName: Bool {
        guard (1...128).contains(utf8.count), utf8.first != 0x2E, utf8.first != 0x2D else { return false }
        return utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                || [0x5F, 0x2E, 0x2B, 0x2D].contains($0)
        }
    }
}
