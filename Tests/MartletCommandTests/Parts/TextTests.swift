import Foundation
import Testing

@testable import MartletCommand

@Suite struct TextTests {
    @Test(arguments: [
        ("plain\ttext", "plain\ttext"), ("a\u{1b}[31mb", "a^[[31mb"), ("10%\r20%", "10%^M20%"), ("\u{7f}\u{0}", "^?^@"),
        ("a\u{9b}b", "a<U+9B>b"), ("a\u{202e}b", "a<U+202E>b"), ("grün 日本", "grün 日本"), ("a\nb", "a^Jb"),
    ])
    func `Control characters become visible`(_ text: String, harmless: String) {
        #expect(HarmlessText.of(text) == harmless)
    }

    @Test func `What is not UTF-8 becomes harmless too`() {
        #expect(HarmlessText.of([0x61, 0xff, 0x9b, 0x62]) == "a\u{fffd}\u{fffd}b")
        #expect(HarmlessText.of("a\nb", keepsLines: true) == "a\nb")
    }

    @Test func `JSON strings survive another reader`() throws {
        let text = (0..<0x3000).compactMap(Unicode.Scalar.init).reduce(into: "\"\\/😀") { $0.unicodeScalars.append($1) }
        var object = JSONObject()
        object.add("text", text)
        object.add("none", nil as String?)
        object.add("number", -7)
        object.add("list", ["a\"", "b"])
        object.add("time", Duration.milliseconds(1234))
        let read = try jsonLines(object.finished)[0]
        #expect(read["text"] as? String == text)
        #expect(read["none"] is NSNull)
        #expect(read["number"] as? Int == -7)
        #expect(read["list"] as? [String] == ["a\"", "b"])
        #expect(read["time"] as? Double == 1.234)
    }

    @Test(arguments: 0..<20)
    func `Base64 is what Foundation reads`(_ count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 89 &+ 200) }
        #expect(Base64.encode(bytes) == Data(bytes).base64EncodedString())
    }

    @Test(arguments: [
        (Duration.microseconds(61), "61 µs"), (.microseconds(1_214), "1.21 ms"), (.microseconds(48_020), "48.0 ms"),
        (.milliseconds(182), "182 ms"), (.milliseconds(2_310), "2.31 s"), (.seconds(192), "3 min 12 s"),
        (.zero, "0 µs"),
    ])
    func `Durations have three digits or so`(_ duration: Duration, text: String) {
        #expect(Format.duration(duration) == text)
    }

    @Test func `A limit is told as it was given`() {
        #expect(Format.limit(.seconds(5)) == "5 s")
        #expect(Format.limit(.milliseconds(500)) == "0.5 s")
        #expect(Format.bytes(812) == "812 B")
        #expect(Format.bytes(3_140_000) == "3.14 MB")
    }

    @Test func `Columns of a table are as wide as their widest cell`() {
        var table = Table(["A", "N", "LAST"], rightAligned: [1])
        table.add(["long", "7", "x"])
        table.add(["b", "1234", "yy"])
        #expect(table.lines == ["A        N  LAST", "long     7  x", "b     1234  yy"])
    }

    @Test func `Long remarks are cut between words`() {
        #expect(Checklist.wrapped("one two three\nfour", width: 8) == ["one two", "three", "four"])
        #expect(Checklist.wrapped("  one two three", width: 9) == ["  one two", "  three"])
        #expect(Checklist.wrapped("unbreakable", width: 4) == ["unbreakable"])
    }
}
