import Testing

@testable import MartletWire

/// The examples of RFC 8949, Appendix A.
@Suite struct CBORAppendixATests {
    struct Example: Sendable, CustomTestStringConvertible {
        var hex: String
        var value: CBORValue
        /// Whether this is the form that our writer chooses.
        var isPreferred = true
        var testDescription: String { hex }

        init(_ hex: String, _ value: CBORValue, isPreferred: Bool = true) {
            self.hex = hex
            self.value = value
            self.isPreferred = isPreferred
        }
    }

    static let scalars: [Example] = [
        .init("00", .unsigned(0)), .init("01", .unsigned(1)), .init("0a", .unsigned(10)), .init("17", .unsigned(23)),
        .init("1818", .unsigned(24)), .init("1819", .unsigned(25)), .init("1864", .unsigned(100)),
        .init("1903e8", .unsigned(1000)), .init("1a000f4240", .unsigned(1_000_000)),
        .init("1b000000e8d4a51000", .unsigned(1_000_000_000_000)),
        .init("1bffffffffffffffff", .unsigned(18_446_744_073_709_551_615)),
        .init("c249010000000000000000", .tagged(2, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        .init("3bffffffffffffffff", .negative(18_446_744_073_709_551_615)),
        .init("c349010000000000000000", .tagged(3, .bytes([1, 0, 0, 0, 0, 0, 0, 0, 0]))),
        .init("20", .negative(0)), .init("29", .negative(9)), .init("3863", .negative(99)),
        .init("3903e7", .negative(999)),
        .init("f90000", .float(0)), .init("f98000", .float(-0.0)), .init("f93c00", .float(1)),
        .init("fb3ff199999999999a", .float(1.1)), .init("f93e00", .float(1.5)), .init("f97bff", .float(65504)),
        .init("fa47c35000", .float(100_000)), .init("fa7f7fffff", .float(3.402_823_466_385_288_6e+38)),
        .init("fb7e37e43c8800759c", .float(1.0e+300)), .init("f90001", .float(5.960_464_477_539_063e-8)),
        .init("f90400", .float(0.000_061_035_156_25)), .init("f9c400", .float(-4)),
        .init("fbc010666666666666", .float(-4.1)), .init("f97c00", .float(.infinity)),
        .init("f97e00", .float(.nan)), .init("f9fc00", .float(-.infinity)),
        .init("fa7f800000", .float(.infinity), isPreferred: false),
        .init("fa7fc00000", .float(.nan), isPreferred: false),
        .init("faff800000", .float(-.infinity), isPreferred: false),
        .init("fb7ff0000000000000", .float(.infinity), isPreferred: false),
        .init("fb7ff8000000000000", .float(.nan), isPreferred: false),
        .init("fbfff0000000000000", .float(-.infinity), isPreferred: false),
        .init("f4", .bool(false)), .init("f5", .bool(true)), .init("f6", .null), .init("f7", .undefined),
        .init("f0", .simple(16)), .init("f8ff", .simple(255)),
        .init("c074323031332d30332d32315432303a30343a30305a", .tagged(0, .text("2013-03-21T20:04:00Z"))),
        .init("c11a514b67b0", .tagged(1, .unsigned(1_363_896_240))),
        .init("c1fb41d452d9ec200000", .tagged(1, .float(1_363_896_240.5))),
        .init("d74401020304", .tagged(23, .bytes([1, 2, 3, 4]))),
        .init("d818456449455446", .tagged(24, .bytes([0x64, 0x49, 0x45, 0x54, 0x46]))),
        .init("d82076687474703a2f2f7777772e6578616d706c652e636f6d", .tagged(32, .text("http://www.example.com"))),
        .init("40", .bytes([])), .init("4401020304", .bytes([1, 2, 3, 4])), .init("60", .text("")),
        .init("6161", .text("a")), .init("6449455446", .text("IETF")), .init("62225c", .text("\"\\")),
        .init("62c3bc", .text("\u{fc}")), .init("63e6b0b4", .text("\u{6c34}")),
        .init("64f0908591", .text("\u{10151}")),
    ]

    static let oneToTwentyFive = CBORValue.array((1...25).map { .unsigned($0) })
    static let nested = CBORValue.array([.unsigned(1), .array([.unsigned(2), .unsigned(3)]), pair(4, 5)])
    static let mapInArray = CBORValue.array([.text("a"), .map([.init(.text("b"), .text("c"))])])
    static let aAndB = CBORValue.map([.init(.text("a"), .unsigned(1)), .init(.text("b"), pair(2, 3))])

    static func pair(_ a: UInt64, _ b: UInt64) -> CBORValue { .array([.unsigned(a), .unsigned(b)]) }

    static let containers: [Example] = [
        .init("80", .array([])), .init("83010203", .array([.unsigned(1), .unsigned(2), .unsigned(3)])),
        .init("8301820203820405", nested),
        .init("98190102030405060708090a0b0c0d0e0f101112131415161718181819", oneToTwentyFive),
        .init("a0", .map([])),
        .init("a201020304", .map([.init(.unsigned(1), .unsigned(2)), .init(.unsigned(3), .unsigned(4))])),
        .init("a26161016162820203", aAndB), .init("826161a161626163", mapInArray),
        .init(
            "a56161614161626142616361436164614461656145",
            .map(["a", "b", "c", "d", "e"].map { .init(.text($0), .text($0.uppercased())) })
        ),
        .init("5f42010243030405ff", .bytes([1, 2, 3, 4, 5]), isPreferred: false),
        .init("7f657374726561646d696e67ff", .text("streaming"), isPreferred: false),
        .init("9fff", .array([]), isPreferred: false),
        .init("9f018202039f0405ffff", nested, isPreferred: false),
        .init("9f01820203820405ff", nested, isPreferred: false),
        .init("83018202039f0405ff", nested, isPreferred: false),
        .init("83019f0203ff820405", nested, isPreferred: false),
        .init(
            "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", oneToTwentyFive, isPreferred: false
        ),
        .init("bf61610161629f0203ffff", aAndB, isPreferred: false),
        .init("826161bf61626163ff", mapInArray, isPreferred: false),
        .init(
            "bf6346756ef563416d7421ff",
            .map([.init(.text("Fun"), .bool(true)), .init(.text("Amt"), .negative(1))]), isPreferred: false
        ),
    ]

    @Test(
        "Every example of Appendix A is read, skipped and, where it is the preferred form, written",
        arguments: scalars + containers)
    func example(_ example: Example) throws {
        let bytes = bytes(hex: example.hex)
        let value = try CBORValue(decoding: bytes)
        // NaN is not equal to itself; its encoding is.
        #expect(value.encoded == example.value.encoded)
        if example.isPreferred { #expect(example.value.encoded == bytes) }
        try CBORReader.read(bytes) { try $0.skip() }
        #expect(try CBORDecoder().decode(CBORValue.self, from: bytes).encoded == example.value.encoded)
        #expect(try CBOREncoder().encode(value) == example.value.encoded)
    }

    @Test(
        "What RFC 8949 calls not well-formed (Appendix F) is refused",
        arguments: [
            "18", "19", "1a", "1b", "1901", "1a0102", "1b01020304050607", "38", "58", "78", "98", "9a01ff00", "b8",
            "d8", "f8", "f900", "fa0000", "fb000000", "41", "61", "5affffffff00", "5bffffffffffffffff010203",
            "7affffffff00", "7b7fffffffffffffff010203", "81", "818181818181818181", "8200", "a1", "a20102", "a100",
            "a2000000", "c0", "5f4100", "7f6100", "9f", "9f0102", "bf", "bf01020102", "819f", "9f8000",
            "9f9f9f9f9fffffffff", "9f819f819f9fffffff", "1c", "1d", "1e", "3c", "3d", "3e", "5c", "5d", "5e", "7c",
            "7d", "7e", "9c", "9d", "9e", "bc", "bd", "be", "dc", "dd", "de", "fc", "fd", "fe", "f800", "f801",
            "f818", "f81f", "5f00ff", "5f21ff", "5f6100ff", "5f80ff", "5fa0ff", "5fc000ff", "5fe0ff", "7f4100ff",
            "5f5f4100ffff", "7f7f6100ffff", "ff", "81ff", "8200ff", "a1ff", "a1ff00", "a100ff", "a20000ff",
            "9f81ff", "9f829f819f9fffffffff", "bf00ff", "bf000000ff", "1f", "3f", "df", "",
        ])
    func malformed(_ hex: String) {
        let bytes = bytes(hex: hex)
        #expect(throws: CBORError.self) { try CBORValue(decoding: bytes) }
        #expect(throws: CBORError.self) { try CBORReader.read(bytes) { try $0.skip() } }
        #expect(throws: DecodingError.self) { try CBORDecoder().decode(AnyShape.self, from: bytes) }
    }
}
