import MartletTestKit
import Testing

@testable import Martlet

extension SeededGenerator {
    fileprivate mutating func text(_ pieces: [String], _ range: ClosedRange<Int>) -> String {
        (0..<Int.random(in: range, using: &self)).map { _ in pieces.randomElement(using: &self)! }.joined()
    }
}

@Suite struct SpecRandomTests {
    /// What is hard in a text.
    private static let pieces =
        [
            "/", "?", "&", "=", "%", "%2", "2F", "%41", ":", "@", "~", ".", "..", "[", "]", ",", " ", "#", "'", "\"",
            "\\",
        ]
        + [
            "a", "Z", "9", "-", "_", "+", "ü", "日", "😀", "e\u{301}", "\u{202e}", "\u{a0}", "\u{1b}", "\n", "\u{9b}",
            "\u{200b}",
        ]
        + ["ssh", "sudo", "python", "chroot", "local", "/ssh", "/sudo:", "/python", "sudo:x", "[::1]", "env", "login"]

    @Test func `Whatever values there are, what is printed reads back as the same`() throws {
        let kinds = [ConnectorKind].many
        for seed in 0..<20_000 {
            var random = SeededGenerator(seed: UInt64(seed))
            var printer = SpecPrinter()
            var expected: [(String, String?, [ConnectorSpec.Option])] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                var options: [ConnectorSpec.Option] = []
                let kind: String
                var argument: String?
                switch Int.random(in: 0..<5, using: &random) {
                case 0:
                    kind = "chroot"
                    argument = random.text(Self.pieces, 1...6)
                    if Bool.random(using: &random) { options.append(.init(name: "login", value: nil)) }
                case 1:
                    kind = "podman"
                    argument = random.text(Self.pieces, 1...6)
                    for name in ["program", "user"] where Bool.random(using: &random) {
                        options.append(.init(name: name, value: random.text(Self.pieces, 1...6)))
                    }
                case 2:
                    kind = "sudo"
                    if Bool.random(using: &random) { argument = random.text(Self.pieces, 1...6) }
                    for number in 0..<Int.random(in: 0...3, using: &random) {
                        options.append(.init(name: "env", value: "V\(number)=" + random.text(Self.pieces, 0...6)))
                    }
                case 3:
                    kind = "ssh"
                    argument = ["web1", "joe@web1:22", "::1", "me@[::1%eth0]:7", "münchen"].randomElement(
                        using: &random)
                    for name in ["identity", "config", "option", "option"] where Bool.random(using: &random) {
                        options.append(.init(name: name, value: random.text(Self.pieces, 1...6)))
                    }
                default:
                    kind = "python"
                }
                printer.hop(kind, argument, options, kinds)
                expected.append((kind, argument, options))
            }
            let route: RouteSpec
            do { route = try RouteSpec(printer.text, kinds: kinds) } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
            let isSame =
                route.hops.count == expected.count
                && zip(route.hops, expected).allSatisfy {
                    $0.kind == $1.0 && $0.argument == $1.1 && $0.options == $1.2
                }
            guard isSame, route.description == printer.text else {
                Issue.record("seed \(seed): \(printer.text) → \(route)")
                return
            }
        }
    }

    @Test func `Whatever is typed is read or refused, and what is read is printed so that it reads back`() {
        let kinds = [ConnectorKind].many
        var (read, refused) = (0, 0)
        for seed in 0..<50_000 {
            var random = SeededGenerator(seed: UInt64(seed) &+ 1 << 32)
            let heads = ["ssh:a", "ssh:a?identity=", "sudo", "chroot:", "podman:x?program=", "", "web1"]
            let text = random.text(heads, 1...1) + random.text(Self.pieces + ["identity=", "option=", "/"], 0...8)
            do {
                let route = try RouteSpec(text, kinds: kinds)
                read += 1
                guard let again = try? RouteSpec(route.description, kinds: kinds), again == route else {
                    Issue.record("seed \(seed): \(text.debugDescription) → \(route)")
                    return
                }
            } catch {
                refused += 1
                let isInside = error.offset >= 0 && error.offset <= error.spec.unicodeScalars.count && error.length >= 1
                let isHarmless = error.description.unicodeScalars.allSatisfy {
                    $0 == "\n" || !SpecCharacters.isInvisible($0)
                }
                guard isInside, isHarmless else {
                    Issue.record("seed \(seed): \(text.debugDescription): \(error.description.debugDescription)")
                    return
                }
            }
        }
        // Else the test tries nothing.
        #expect(read > 1000 && refused > 1000, "\(read) read, \(refused) refused")
    }

    @Test func `Bytes at random do no harm`() {
        for seed in 0..<5_000 {
            var random = SeededGenerator(seed: UInt64(seed) &+ 1 << 33)
            let bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            let text = String(decoding: bytes, as: UTF8.self)
            do { _ = try RouteSpec(text).description } catch { _ = error.description }
        }
    }
}
