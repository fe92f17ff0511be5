import Testing

@testable import MartletCommand

struct EscapeKeysTests {
    private func keys(_ pieces: String..., escape: UInt8? = UInt8(ascii: "~")) -> [EscapeKeys.Key] {
        var keys = EscapeKeys(escape: escape)
        // Neighbours are put together: how they were cut is nothing to anybody.
        return pieces.flatMap { keys.take(Array($0.utf8)) }.reduce(into: []) { all, key in
            if case .bytes(let more) = key, case .bytes(let before)? = all.last {
                all[all.count - 1] = .bytes(before + more)
            } else {
                all.append(key)
            }
        }
    }

    private func bytes(_ text: String) -> EscapeKeys.Key { .bytes(Array(text.utf8)) }

    @Test func `The escape character counts at the beginning of a line alone`() {
        #expect(keys("~.") == [.disconnect])
        #expect(keys("a~.") == [bytes("a~.")])
        #expect(keys("ls\r~.rest") == [bytes("ls\r"), .disconnect])
        #expect(keys("ls\n~.") == [bytes("ls\n"), .disconnect])
        #expect(keys("~/file\r") == [bytes("~/file\r")])
        #expect(keys("~~/x\r~~.") == [bytes("~/x\r~.")])
        #expect(keys("~?ls\r") == [.help, bytes("ls\r")])
        #expect(keys("~?~.") == [.help, .disconnect])
    }

    @Test func `Pieces may be cut anywhere`() {
        #expect(keys("ls\r", "~", ".") == [bytes("ls\r"), .disconnect])
        #expect(keys("~", "x") == [bytes("~x")])
        #expect(keys("", "~", "", "~", "\r") == [bytes("~\r")])
    }

    @Test func `Without an escape character everything is the far machine's`() {
        #expect(keys("~.\r~.", escape: nil) == [bytes("~.\r~.")])
        #expect(keys("%.", escape: UInt8(ascii: "%")) == [.disconnect])
        #expect(keys("~.", escape: UInt8(ascii: "%")) == [bytes("~.")])
    }
}
